// The list of apps.

import { $, h, keyed, say } from './dom.js';
import { age, percent, rankOf, rate, rateOf, size, time } from './figures.js';
import { drawSpark, spark } from './charts.js';

/** @typedef {import('./figures.js').Summary} Summary */

/** How lines are compared, the way round that is wanted most: texts begin with A, states with the worst, times with the shortest, figures with the highest. @type {Record<string, (a: Summary, b: Summary) => number>} */
const ORDERS = {
  name: (a, b) => a.name.localeCompare(b.name),
  state: (a, b) => rankOf(a.mood) - rankOf(b.mood),
  cpu: (a, b) => b.cpu - a.cpu,
  memory: (a, b) => b.memory - a.memory,
  rate: (a, b) => (rateOf(b.recent) ?? -1) - (rateOf(a.recent) ?? -1),
  waiting: (a, b) => (b.recent?.waiting?.p99 ?? -1) - (a.recent?.waiting?.p99 ?? -1),
  loop: (a, b) => (b.recent?.utilization ?? -1) - (a.recent?.utilization ?? -1),
  restarts: (a, b) => b.restarts - a.restarts,
  since: (a, b) => (b.since ?? 0) - (a.since ?? 0),
};

/** @type {{ by: string | null, isReversed: boolean }} */
const order = { by: null, isReversed: false };
/** px that the filter and the head of the list take. */
const HEAD = 90;
/** The app that was shown in the list when it was chosen. @type {string | null} */
let seen = null;
/** @type {() => void} */
let changed = () => {};

/** Draws again when something else is wanted. @param {() => void} draw */
export function onChange(draw) {
  changed = draw;
  $('#find').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
  $('#find input').addEventListener('input', draw);
  for (const head of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('th[data-order]'))) {
    head.firstElementChild?.addEventListener('click', () => sortBy(head));
  }
  $('#apps tbody').addEventListener('click', (/** @type {any} */ event) => {
    const link = event.target.closest('tr')?.querySelector('a');
    if (link && !event.target.closest('a') && String(getSelection()) === '') link.click();
  });
}

/** Once, the other way round, and as they are listed. @param {HTMLElement} head */
function sortBy(head) {
  const by = head.dataset.order ?? null;
  if (order.by !== by) Object.assign(order, { by, isReversed: false });
  else if (!order.isReversed) order.isReversed = true;
  else Object.assign(order, { by: null, isReversed: false });
  for (const other of document.querySelectorAll('th[data-order]')) other.removeAttribute('aria-sort');
  const rises = ['name', 'state', 'since'].includes(by ?? '') !== order.isReversed;
  if (order.by !== null) head.setAttribute('aria-sort', rises ? 'ascending' : 'descending');
  changed();
}

/** Another filter. @param {string} text */
export function filterBy(text) {
  $('#find input').value = text;
  changed();
}

/**
 * @param {Summary[]} all
 * @param {import('./figures.js').Series} series
 * @param {string | null} selected
 * @param {number} now
 */
export function drawTable(all, series, selected, now) {
  const filter = $('#find input').value.trim().toLowerCase();
  const shown = all.filter((one) => filter === '' || one.target.toLowerCase().includes(filter) || one.state.includes(filter));
  if (order.by !== null) {
    const compare = ORDERS[order.by];
    shown.sort((a, b) => (order.isReversed ? -compare(a, b) : compare(a, b)));
  }
  keyed($('#apps tbody'), shown, (one) => one.target, makeRow, (row, one) => {
    const [name, state, cpu, memory, each, waiting, loop, restarts, since, line] = row.children;
    say(name.firstElementChild, one.name);
    say(name.lastElementChild, one.parts.length > 1 || one.app.mode === 'cluster' ? `${one.ready}/${one.parts.length}` : '');
    if (one.target === selected) row.setAttribute('aria-current', 'true');
    else row.removeAttribute('aria-current');
    state.className = `state ${one.mood}`;
    say(state, one.state);
    say(cpu, percent(one.cpu));
    say(memory, size(one.memory));
    const { recent } = one;
    say(each, recent ? rate(rateOf(recent) ?? 0) : '');
    each.title = recent && !recent.http ? 'Connections: requests are counted with --count-requests' : '';
    say(waiting, recent?.waiting ? time(recent.waiting.p99) : '');
    say(loop, recent ? `${(recent.utilization * 100).toFixed(0)} %` : '');
    say(restarts, String(one.restarts));
    restarts.classList.toggle('zero', one.restarts === 0);
    say(since, age(one.since, now));
    const values = series.apps.get(one.target)?.cpu;
    if (values) drawSpark(line.firstElementChild, series.times, values);
  });
  if (selected !== seen) show($('#apps tr[aria-current]'));
  seen = selected;
  $('#apps table').classList.toggle('has-boards', all.some(({ recent }) => recent !== null));
  $('#nothing').hidden = shown.length > 0;
  say($('#nothing'), all.length === 0 ? 'Nothing is there yet: rcluster start app.js' : 'No app has that in its name or state.');
}

/** A link may lead to one that is far down: beside an app the list scrolls by itself, and the window stays where it is. @param {HTMLElement | null} row */
function show(row) {
  const list = $('#apps');
  if (!row || list.scrollHeight <= list.clientHeight) return;
  const [place, whole] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
  if (place.top > whole.top + HEAD && place.bottom < Math.min(whole.bottom, innerHeight)) return;
  list.scrollTop += place.top - whole.top - list.clientHeight / 2;
}

/** @param {Summary} one */
function makeRow(one) {
  return h('tr', {},
    h('th', { scope: 'row' }, h('a', { href: `#app=${encodeURIComponent(one.target)}` }), h('small')),
    h('td.state'), h('td.number'), h('td.number'), h('td.number.board'), h('td.number.board'), h('td.number.board'), h('td.number'), h('td.number'),
    h('td.spark', {}, spark()));
}
