// Figures over time: uPlot for those with axes, a path for those of the list.

import { h } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 110;

/** Asked whenever something is drawn: light and dark change while the page is open. @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {number} time seconds since 1970 @param {boolean} [withSeconds] */
const clock = (time, withSeconds = false) =>
  new Date(time * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', ...(withSeconds && { second: '2-digit' }), hour12: false });

/** Where the axis of times begins: an hour ago, or with the first figure, and ten minutes ago at the latest. @param {number} first @param {number} last */
const beginOf = (first, last) => Math.max(last - 3600, Math.min(first, last - 600));

/** Figures with none before and after them: a line does not show those. @param {(number | null)[]} values */
const alone = (values) => [...values.keys()].filter((at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null);

/** A line without axes. */
export function spark() {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [name, value] of [['viewBox', '0 0 120 20'], ['preserveAspectRatio', 'none'], ['aria-hidden', 'true']]) svg.setAttribute(name, value);
  svg.append(document.createElementNS(SVG, 'path'));
  return svg;
}

/**
 * @param {SVGElement} svg
 * @param {number[]} times
 * @param {(number | null)[]} values
 */
export function drawSpark(svg, times, values) {
  const last = times.at(-1) ?? 0;
  const first = beginOf(times[0], last);
  // Below one percent all looks the same: nothing.
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  let path = '';
  let isOn = false;
  for (const [index, value] of values.entries()) {
    if (value === null || times[index] < first) {
      isOn = false;
      continue;
    }
    path += `${isOn ? 'L' : 'M'}${(((times[index] - first) / (last - first)) * 120).toFixed(1)} ${(19 - (value / most) * 18).toFixed(1)}`;
    isOn = true;
  }
  svg.firstElementChild?.setAttribute('d', path);
}

/** A chart of the last hour. */
export class Chart {
  #plot;
  #format;

  /**
   * @param {string} title
   * @param {(value: number) => string} format
   * @param {number} least What the axis reaches at least.
   * @param {number[]} [steps] How far its marks may be apart.
   */
  constructor(title, format, least, steps) {
    this.#format = format;
    // It changes all the time: that is not to be read out.
    this.value = h('output', { 'aria-live': 'off' });
    this.place = h('div.plot', { role: 'img', 'aria-label': `${title} of the last hour` });
    this.element = h('figure', {}, h('figcaption', { title }, h('span', {}, title), this.value), this.place);
    const axis = { stroke: () => colour('--faint'), grid: { stroke: () => colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
    const each = (/** @type {(tick: number) => string} */ write) => (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map(write);
    const range = (/** @type {(least: number, most: number) => number[]} */ of) => (/** @type {any} */ _, /** @type {number} */ from, /** @type {number} */ to) => of(from ?? 0, to ?? 0);
    this.#plot = new /** @type {any} */ (globalThis).uPlot({
      width: 320, height: HEIGHT,
      padding: [8, 10, 0, 0],
      legend: { show: false },
      cursor: { points: { size: 6 }, y: false, drag: { x: false, y: false } },
      scales: { x: { range: range((first, last) => [beginOf(first, last), last]) }, y: { range: range((_, most) => [0, Math.max(least, most * 1.15)]) } },
      axes: [{ ...axis, size: 20, space: 60, values: each((tick) => clock(tick)) }, { ...axis, size: 56, space: 26, ...(steps && { incrs: steps }), values: each(format) }],
      series: [{}, { stroke: () => colour('--accent'), fill: () => colour('--accent-faint'), width: 1.5, points: { show: false, size: 5, fill: () => colour('--accent'), filter: (/** @type {any} */ plot) => alone(plot.data[1]) } }],
      hooks: { setCursor: [(/** @type {any} */ plot) => this.#show(plot)] },
    }, [[], []], this.place);
    this.observer = new ResizeObserver(() => this.place.clientWidth > 0 && this.#plot.setSize({ width: this.place.clientWidth, height: HEIGHT }));
    this.observer.observe(this.place);
  }

  /** The figure below the pointer, or the last one. @param {any} plot */
  #show({ data: [times, values], cursor: { idx } }) {
    const value = values[idx ?? values.length - 1];
    const time = idx === null || idx === undefined ? '' : `${clock(times[idx], true)}  `;
    this.value.textContent = value === null || value === undefined ? '' : time + this.#format(value);
  }

  /** @param {number[]} times @param {(number | null)[]} values */
  set(times, values) {
    this.#plot.setData([times, values]);
    this.#show(this.#plot);
  }

  end() {
    this.observer.disconnect();
    this.#plot.destroy();
  }
}
