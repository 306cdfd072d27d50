// One app: what it is, its last hour, its instances, its logs.

import { $, h, keyed, say } from './dom.js';
import { age, percent, size } from './figures.js';
import { act, scale } from './actions.js';
import { Chart } from './charts.js';
import { Logs } from './logs.js';

/** @typedef {import('./figures.js').Summary} Summary */

const HEADS = ['#', 'State', 'PID', 'CPU', 'Memory', 'Restarts', 'Uptime'];

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
    this.cpu = new Chart('CPU', percent, 1);
    this.memory = new Chart('Memory', size, 1 << 20, POWERS);
    this.rows = h('tbody');
    this.logs = new Logs(this.target);
    this.element = h('article', {},
      h('div.head', {}, h('a.back', { href: '#', 'aria-label': 'Back to the list' }, '‹'), this.title, this.state,
        h('div.actions', {}, button('start', 'Start', 's'), button('restart', 'Restart', 'r'), button('reload', 'Reload', 'l'), button('stop', 'Stop', 's'),
          h('span.scale', { role: 'group', 'aria-label': 'How many' }, step(-1, '−', 'One less'), this.count, step(1, '+', 'One more')))),
      this.about, this.why,
      h('div.charts', {}, this.cpu.element, this.memory.element),
      h('div.instances', {}, h('table', {}, h('thead', {}, h('tr', {}, ...HEADS.map((head, index) => h(index < 2 ? 'th' : 'th.number', { scope: 'col' }, head)))), this.rows)),
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
      const [number, state, pid, cpu, memory, restarts, since] = row.children;
      state.className = `state ${part.mood}`;
      for (const [cell, text] of [
        [number, String(part.number)], [state, part.state], [pid, String(part.pid ?? '–')], [cpu, percent(part.cpu)],
        [memory, size(part.memory)], [restarts, String(part.restarts)], [since, age(part.pid === null ? null : part.startedAt, now)],
      ]) say(cell, text);
    });
    const figures = series.apps.get(this.target);
    if (isNew && figures) {
      this.cpu.set(series.times, figures.cpu);
      this.memory.set(series.times, figures.memory);
    }
  }

  end() {
    this.logs.end();
    this.cpu.end();
    this.memory.end();
    $('#detail').replaceChildren();
    $('#detail').hidden = true;
    document.body.classList.remove('has-detail');
  }
}

const makeRow = () => h('tr', {}, h('th', { scope: 'row' }), h('td.state'), ...Array.from({ length: 5 }, () => h('td.number')));
