// One app: what it is, its last hour, its instances, its logs.

import { $, h, keyed, say } from './dom.js';
import { age, known, percent, rate, size, time } from './figures.js';
import { act, scale } from './actions.js';
import { Chart } from './charts.js';
import { Logs } from './logs.js';

/** @typedef {import('./figures.js').Summary} Summary */

/** @typedef {import('./figures.js').Recent | null} Recent */

const HEADS = ['#', 'State', 'PID', 'CPU', 'Memory', 'Restarts', 'Uptime'];

/** What boards of workers say, each with what it means. @type {[string, string, (recent: Recent) => string][]} */
const BOARD = [
  ['Requests', 'HTTP requests each second', (recent) => known(recent?.http?.requests, rate)],
  ['Errors', 'Answers with a status of 500 or more, each second', (recent) => known(recent?.http?.errors, rate)],
  ['New', 'Connections that came, each second', (recent) => known(recent?.connections, rate)],
  ['Open', 'Connections that are open', (recent) => known(recent?.active, String)],
  ['Waiting', 'From being accepted to its server: 99 of 100 connections at most', (recent) => most(recent?.waiting)],
  ['Loop', 'The part of the time that the event loop was running', (recent) => known(recent?.utilization, (part) => `${(part * 100).toFixed(0)} %`)],
  ['Delay', 'How long turns of the event loop took: 99 of 100 at most', (recent) => most(recent?.delay)],
];

/** @param {import('../client').Percentiles | null | undefined} times */
const most = (times) => known(times, ({ p99 }) => time(p99));

/** Charts, by the member of the history: what they show, how, what the axis reaches at least. @type {Record<string, [string, (value: number) => string, number]>} */
const CHARTS = {
  rate: ['Requests each second', rate, 1],
  errors: ['Errors each second', rate, 1],
  waiting: ['Waiting, 99 of 100', time, 1],
  utilization: ['Event loop running', (part) => `${(part * 100).toFixed(0)} %`, 1],
  delay: ['Delay, 99 of 100', time, 1],
  active: ['Open connections', (count) => count.toFixed(0), 4],
};

/** Bytes are counted in powers of two. */
const POWERS = Array.from({ length: 45 }, (_, power) => 2 ** power);

export class Detail {
  /** @param {Summary} one */
  constructor(one) {
    this.target = one.target;
    this.one = one;
    const button = (/** @type {string} */ op, /** @type {string} */ text, /** @type {string} */ key) =>
      h('button', { 'data-op': op, 'aria-keyshortcuts': key, title: `${text} (${key})`, onclick: () => act(op, this.target) }, text);
    const step = (/** @type {number} */ by, /** @type {string} */ text, /** @type {string} */ label) =>
      h('button', { 'aria-label': label, onclick: () => scale(this.one.app, this.one.app.instances + by) }, text);
    this.title = h('h2', { tabindex: '-1' }, one.name);
    this.state = h('span.state');
    this.count = h('output');
    this.why = h('p.trouble', { hidden: true });
    this.about = h('p.about');
    /** @type {Map<string, Chart>} */
    this.charts = new Map([['cpu', new Chart('CPU', percent, 1)], ['memory', new Chart('Memory', size, 1 << 20, POWERS)]]);
    this.plots = h('div.charts', { role: 'group', 'aria-label': 'The last hour' }, ...[...this.charts.values()].map(({ element }) => element));
    this.rows = h('tbody');
    this.logs = new Logs(this.target);
    this.element = h('article', {},
      h('div.head', {}, h('a.back', { href: '#', 'aria-label': 'Back to the list' }, '‹'), this.title, this.state,
        h('div.actions', {}, button('start', 'Start', 's'), button('restart', 'Restart', 'r'), button('reload', 'Reload', 'l'), button('stop', 'Stop', 's'),
          h('span.scale', { role: 'group', 'aria-label': 'How many' }, step(-1, '−', 'One less'), this.count, step(1, '+', 'One more')))),
      this.about, this.why,
      this.plots,
      h('div.instances', { role: 'group', 'aria-label': 'Instances', tabindex: '0' }, this.table = h('table', {}, h('thead', {}, h('tr', {},
        ...HEADS.map((head, index) => h(index < 2 ? 'th' : 'th.number', { scope: 'col' }, head)),
        ...BOARD.map(([head, title], index) => h(index < 2 ? 'th.number.board.http' : 'th.number.board', { scope: 'col', title }, head)))), this.rows)),
      this.logs.element);
    $('#detail').replaceChildren(this.element);
    $('#detail').hidden = false;
    document.body.classList.add('has-detail');
    void this.logs.begin();
  }

  /**
   * @param {Summary} one
   * @param {import('./figures.js').Series} series
   * @param {number} now
   * @param {boolean} isNew Whether there are new figures.
   */
  update(one, series, now, isNew) {
    this.one = one;
    const { app } = one;
    this.state.className = `state ${one.mood}`;
    say(this.state, one.state);
    say(this.count, `${one.ready}/${app.instances}`);
    say(this.about, `${app.mode} · ${app.script} · in ${app.cwd}`);
    this.why.hidden = one.why === null || one.mood === 'good';
    say(this.why, one.why ?? '');
    this.element.classList.toggle('is-off', one.since === null);
    keyed(this.rows, one.parts, (part) => String(part.number), makeRow, (row, part) => {
      const [number, state, pid, cpu, memory, restarts, since, ...board] = row.children;
      state.className = `state ${part.mood}`;
      for (const [cell, text] of [
        [number, String(part.number)], [state, part.state], [pid, String(part.pid ?? '–')], [cpu, percent(part.cpu)],
        [memory, size(part.memory)], [restarts, String(part.restarts)], [since, age(part.pid === null ? null : part.startedAt, now)],
      ]) say(cell, text);
      for (const [index, [, , write]] of BOARD.entries()) say(board[index], write(part.recent ?? null));
    });
    this.table.classList.toggle('has-boards', one.recent !== null);
    this.table.classList.toggle('has-http', one.recent?.http !== undefined && one.recent?.http !== null);
    const figures = series.apps.get(this.target);
    if (!isNew || !figures) return;
    for (const member of ['cpu', 'memory', ...Object.keys(CHARTS)]) {
      const values = figures[member];
      if (values) this.#chart(member)?.set(series.times, values);
    }
  }

  /** There is a chart of what there are figures of. @param {string} member */
  #chart(member) {
    const before = this.charts.get(member);
    if (before || !Object.hasOwn(CHARTS, member)) return before;
    const [title, format, least] = CHARTS[member];
    const chart = new Chart(member === 'rate' && this.one.recent?.http === null ? 'Connections each second' : title, format, least);
    this.charts.set(member, chart);
    // Figures of some come later than those of others; each has its place.
    for (const shown of ['cpu', 'memory', ...Object.keys(CHARTS)]) {
      const there = this.charts.get(shown);
      if (there) this.plots.append(there.element);
    }
    return chart;
  }

  end() {
    this.logs.end();
    for (const chart of this.charts.values()) chart.end();
    $('#detail').replaceChildren();
    $('#detail').hidden = true;
    document.body.classList.remove('has-detail');
  }
}

const makeRow = () => h('tr', {}, h('th', { scope: 'row' }), h('td.state'), ...Array.from({ length: 5 }, () => h('td.number')),
  ...BOARD.map((_, index) => h(index < 2 ? 'td.number.board.http' : 'td.number.board')));
