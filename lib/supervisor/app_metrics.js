'use strict';

// What the app itself counts with prom-client in all workers, put together by prom-client itself: the app's own, as it is no dependency of
// ours. Workers may say anything; what makes no sense is dropped and counted.

const { createRequire } = require('node:module');
const { setTimeout: sleep } = require('node:timers/promises');

/** How long (ms) a worker has to answer. */
const TIME = 1000;
/** Characters of a worker's answer, and of all together for the manager. */
const LONGEST = 1 << 20;
const LONGEST_ALL = 4 << 20;
/** Samples of a worker. */
const MOST = 20_000;

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]{0,255}$/;
/** Metrics of ours begin so. */
const OURS = 'rcluster_';
const TYPES = Object.freeze(['counter', 'gauge', 'histogram', 'summary']);
const AGGREGATORS = Object.freeze(['sum', 'first', 'omit', 'average', 'min', 'max']);
const SUFFIXES = Object.freeze(['', '_bucket', '_sum', '_count']);

/** Why something was dropped. @typedef {'late' | 'malformed' | 'too-large' | 'failed' | 'reserved-name' | 'no-prom-client'} Reason */

/** @typedef {{ name: string, help: string, type: string, aggregator: string, values: Sample[] }} Metric */
/** @typedef {{ value: number, labels: Record<string, string | number>, metricName?: string }} Sample */

/**
 * All of it at one moment.
 *
 * @typedef {object} Gathered
 * @property {string} text In Prometheus' text format.
 * @property {() => { metrics: Metric[], dropped: Record<string, number> }} forKeeper The same for the manager, which adds the app's name.
 */

class AppMetrics {
  #occupants;
  #script;
  /** @type {Partial<Record<Reason, number>>} */
  #dropped = {};
  #lastQuestion = 0;
  /** @type {Promise<Gathered> | undefined} */
  #gathering;

  /**
   * @param {() => import('./occupant.js').Occupant[]} occupants Who is asked.
   * @param {() => string} script Whose prom-client it is.
   */
  constructor(occupants, script) {
    this.#occupants = occupants;
    this.#script = script;
  }

  /** Those who ask meanwhile get the same: a worker is asked once at a time. */
  gather() {
    this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = undefined;
    });
    return this.#gathering;
  }

  /** In Prometheus' text format. */
  async text() {
    return (await this.gather()).text;
  }

  /** @returns {Promise<Gathered>} */
  async #gather() {
    const question = ++this.#lastQuestion;
    const answers = await Promise.all(this.#occupants().map((occupant) => this.#ask(occupant, question)));
    /** @type {Map<string, string>} */
    const types = new Map();
    const known = answers.map((answer) => this.#checked(answer, types)).filter((metrics) => metrics.length > 0);
    const { text, metrics } = await this.#together(known);
    const dropped = { ...this.#dropped };
    const lines = Object.entries(dropped).map(([reason, count]) => `rcluster_app_metrics_dropped_total{reason="${reason}"} ${count}\n`);
    const about = '# HELP rcluster_app_metrics_dropped_total What workers said of their own metrics that was left out\n# TYPE rcluster_app_metrics_dropped_total counter\n';
    return { text: text + (lines.length > 0 ? about + lines.join('') : ''), forKeeper: () => ({ metrics, dropped }) };
  }

  /** @param {Reason} reason */
  #drop(reason) {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  /**
   * @param {import('./occupant.js').Occupant} occupant
   * @param {number} question
   * @returns {Promise<unknown>} Its text.
   */
  async #ask(occupant, question) {
    const over = new AbortController();
    /** @type {(message: any) => void} */
    let heard = () => {};
    const answer = new Promise((resolve) => {
      // What it says to a question that is over is none of this one's.
      heard = (message) => message.question === question && resolve(message);
      occupant.on('app-metrics', heard);
    });
    occupant.askForMetrics(question);
    const late = sleep(TIME, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
    const message = await Promise.race([answer, late, occupant.exited]);
    over.abort();
    occupant.off('app-metrics', heard);
    if (message === undefined) this.#drop('late');
    else if (message.why !== undefined) this.#drop(message.why === 'too-large' ? 'too-large' : 'failed');
    return message?.text;
  }

  /**
   * What makes sense of a worker's answer.
   *
   * @param {unknown} text
   * @param {Map<string, string>} types What each metric is with the workers before.
   * @returns {Metric[]}
   */
  #checked(text, types) {
    if (text === undefined) return [];
    if (typeof text !== 'string') return this.#nothing('malformed');
    if (text.length > LONGEST) return this.#nothing('too-large');
    /** @type {any} */
    let all;
    try {
      all = JSON.parse(text);
    } catch {
      return this.#nothing('malformed');
    }
    if (!Array.isArray(all)) return this.#nothing('malformed');
    let left = MOST;
    /** @type {Metric[]} */
    const good = [];
    for (const one of all) {
      const metric = metricOf(one);
      if (metric === undefined || (types.get(metric.name) ?? metric.type) !== metric.type) this.#drop('malformed');
      else if (metric.name.startsWith(OURS)) this.#drop('reserved-name');
      else if ((left -= metric.values.length) < 0) return this.#nothing('too-large', good);
      else {
        types.set(metric.name, metric.type);
        good.push(metric);
      }
    }
    return good;
  }

  /** @param {Reason} reason @param {Metric[]} [good] What there was before. */
  #nothing(reason, good = []) {
    this.#drop(reason);
    return good;
  }

  /** @param {Metric[][]} known @returns {Promise<{ text: string, metrics: Metric[] }>} */
  async #together(known) {
    const none = { text: '', metrics: [] };
    if (known.length === 0) return none;
    /** @type {any} */
    let client;
    try {
      client = createRequire(this.#script())('prom-client');
    } catch {
      this.#drop('no-prom-client');
      return none;
    }
    try {
      const registry = client.AggregatorRegistry.aggregate(known);
      const metrics = await registry.getMetricsAsJSON();
      if (JSON.stringify(metrics).length <= LONGEST_ALL) return { text: await registry.metrics(), metrics };
      this.#drop('too-large');
    } catch {
      this.#drop('failed');
    }
    return none;
  }
}

/**
 * A metric as prom-client has it; nothing where it is none.
 *
 * @param {any} one
 * @returns {Metric | undefined}
 */
function metricOf(one) {
  if (one === null || typeof one !== 'object') return undefined;
  const { name, help, type, aggregator = 'sum', values } = one;
  const isOne = typeof name === 'string' && NAME.test(name) && typeof help === 'string' && TYPES.includes(type) && AGGREGATORS.includes(aggregator);
  if (!isOne || !Array.isArray(values) || !values.every((value) => isSample(value, name))) return undefined;
  // Numbers that are none become nothing on their way as JSON.
  return { name, help, type, aggregator, values: values.map(({ value, labels, metricName }) => ({ value: value ?? Number.NaN, labels, ...(metricName && { metricName }) })) };
}

/** @param {any} sample @param {string} name */
function isSample(sample, name) {
  if (sample === null || typeof sample !== 'object') return false;
  const { value, labels, metricName = name } = sample;
  const isNumber = value === null || typeof value === 'number';
  if (!isNumber || labels === null || typeof labels !== 'object' || !SUFFIXES.some((suffix) => metricName === `${name}${suffix}`)) return false;
  return Object.entries(labels).every(([label, text]) => LABEL.test(label) && (typeof text === 'number' || (typeof text === 'string' && text.length <= 1024)));
}

module.exports = { AppMetrics };
