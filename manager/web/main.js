// The page: what is told is drawn, and keys and addresses say what is looked at.

import { $, h, say } from './dom.js';
import { act } from './actions.js';
import { Detail } from './detail.js';
import { Series, percent, size, summaryOf } from './figures.js';
import { drawTable, filterBy, onChange } from './table.js';
import { NoSession, enter, live, onEntered, open } from './session.js';

/** ms before a daemon that has gone is asked again. */
const AGAIN = 2000;

const series = new Series();
/** @type {import('./figures.js').Summary[]} */
let all = [];
/** When that was, by the daemon's clock (ms since 1970). */
let now = Date.now();
/** @type {Detail | undefined} */
let detail;

/** The app that the address names. */
const selected = () => new URLSearchParams(location.hash.slice(1)).get('app');

const troubles = () => all.filter((one) => one.mood === 'bad').length;

/** @param {boolean} [isNew] Whether there are new figures for charts. */
function draw(isNew = false) {
  const target = selected();
  const one = all.find((app) => app.target === target);
  if (detail && detail.target !== one?.target) {
    detail.end();
    detail = undefined;
  }
  const isOther = one !== undefined && detail === undefined;
  if (one && isOther) detail = new Detail(one);
  if (one) detail?.update(one, series, now, isNew || isOther);
  drawTable(all, series, one?.target ?? null, now);
  drawSummary();
  document.title = `${troubles() > 0 ? `(${troubles()}) ` : ''}${one ? `${one.name} · ` : ''}rcluster`;
}

function drawSummary() {
  const sum = (/** @type {'cpu' | 'memory'} */ member) => all.reduce((total, one) => total + one[member], 0);
  const rows = [['apps', String(all.length), ''], ['CPU', percent(sum('cpu')), ''], ['memory', size(sum('memory')), '']];
  if (troubles() > 0) rows.splice(1, 0, ['in trouble', String(troubles()), 'bad']);
  const place = $('#summary');
  if (place.childElementCount !== rows.length) place.replaceChildren(...rows.map(() => h('div', {}, h('dd'), h('dt'))));
  for (const [index, [name, value, mood]] of rows.entries()) {
    const group = place.children[index];
    group.className = mood;
    say(group.firstElementChild, value);
    say(group.lastElementChild, name);
  }
}

/** @param {'live' | 'lost'} state @param {string} text */
function connection(state, text) {
  $('#connection').className = state;
  say($('#connection'), text);
}

/** Watches once, until that ends. @param {AbortSignal} signal */
async function watch(signal) {
  series.begin(await (await open('history')).json());
  let [isNew, isFirst] = [true, true];
  for await (const { event, data } of live(signal)) {
    if (event === 'kept') {
      series.add(data);
      isNew = true;
    }
    if (event !== 'apps') continue;
    connection('live', 'live');
    all = data.apps.map(summaryOf);
    now = data.at * 1000;
    draw(isNew);
    if (isFirst) detail?.logs.resume();
    isNew = isFirst = false;
  }
  throw new Error('the daemon has gone');
}

/** Watches for as long as somebody looks: a browser has few connections for each address, and a page that nobody sees needs none. */
async function listen() {
  for (;;) {
    const looking = new AbortController();
    const stop = () => document.hidden && looking.abort();
    document.addEventListener('visibilitychange', stop);
    try {
      await watch(looking.signal);
    } catch (error) {
      if (error instanceof NoSession) return refuse(error.message);
      if (!looking.signal.aborted) connection('lost', 'no daemon: looking again …');
    } finally {
      document.removeEventListener('visibilitychange', stop);
    }
    await new Promise((resolve) => {
      if (document.hidden) document.addEventListener('visibilitychange', resolve, { once: true });
      else setTimeout(resolve, AGAIN);
    });
  }
}

/** @param {string} why */
function refuse(why) {
  $('main').hidden = true;
  $('#summary').hidden = true;
  connection('lost', 'not signed in');
  $('#gate').hidden = false;
  say($('#why'), why);
  document.title = 'rcluster';
  if ($('#question').open) $('#question').close('no');
  // A link that is opened in another window is good for this one as well.
  onEntered(() => location.reload());
}

/** Moves the focus among the apps. @param {number} by */
function move(by) {
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('#apps tbody a')]);
  const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + by));
  links[next]?.focus();
}

/** What keys do, where nobody types. @returns {Record<string, () => unknown>} */
function keys() {
  const target = detail?.target;
  const isOff = detail?.one.since === null;
  return {
    '/': () => $('#find input').focus(),
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    ...(target !== undefined && { r: () => act('restart', target), l: () => act('reload', target), s: () => act(isOff ? 'start' : 'stop', target) }),
  };
}

document.addEventListener('keydown', (event) => {
  const place = /** @type {HTMLElement} */ (event.target);
  if ($('#question').open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape') {
    if ($('#find input').value !== '') filterBy('');
    else if (detail) location.hash = '';
    place.blur();
    return;
  }
  if (place.matches('input, select')) return;
  const known = keys();
  const scrolls = place.closest('.logs') !== null && event.key.startsWith('Arrow');
  if (scrolls || !Object.hasOwn(known, event.key)) return;
  event.preventDefault();
  known[event.key]();
});

addEventListener('hashchange', () => {
  // A link of `rcluster web` that was opened in a page that is there already.
  if (location.hash.startsWith('#token=')) return location.reload();
  draw();
  if (!detail) return undefined;
  detail.title.focus({ preventScroll: true });
  if (matchMedia('(max-width: 900px)').matches) scrollTo(0, 0);
  return undefined;
});

// It is not to be the address, which says what is looked at.
$('.skip').addEventListener('click', (/** @type {Event} */ event) => {
  event.preventDefault();
  $('#apps').focus();
});

onChange(() => draw());
enter().then(listen).catch((error) => refuse(error instanceof NoSession ? error.message : 'The daemon does not answer.'));
