'use strict';

/** Runs the load generator. */

const { ask } = require('./processes.js');
const { median } = require('./stats.js');

/**
 * @typedef {object} LoadReport  what bench/load prints; see bench/load/src/tally.rs
 * @property {number} requests
 * @property {number} connections
 * @property {number} seconds
 * @property {Record<string, number>} failed  by errno or kind
 * @property {Record<string, number>} workers  answers by pid
 * @property {Record<'p50' | 'p90' | 'p99' | 'p99.9' | 'max', number>} latency_us
 * @property {[number, number, number][]} [over]  when (µs since the start), how long (µs), pid
 * @property {{ active: Record<string, number>, widest: number, widest_late: number }} [held]  connections by pid at the end; the
 *   largest difference since all were open, and that of the second half of the time
 */

/**
 * @param {string} program
 * @param {number} port
 * @param {Record<string, string | number | boolean>} options  names without the dashes; `true` for a mere flag
 * @returns {Promise<LoadReport>}
 */
function runLoad(program, port, options) {
  const args = ['--port', String(port)];
  for (const [name, value] of Object.entries(options)) {
    if (value === false) continue;
    args.push(`--${name}`);
    if (value !== true) args.push(String(value));
  }
  // The generator ends by itself: its seconds, and the timeout of its last request.
  const timeout = (Number(options.seconds ?? 30) + 30) * 1000;
  return ask({ command: program, args, timeout });
}

/**
 * @param {LoadReport[]} reports  of one server, at different times
 * @returns {LoadReport} their sums. Its percentiles are the medians of theirs, its maximum is theirs
 */
function together(reports) {
  const total = (/** @type {'requests' | 'connections' | 'seconds'} */ key) => reports.reduce((sum, report) => sum + report[key], 0);
  const byKey = (/** @type {'failed' | 'workers'} */ key) => {
    /** @type {Record<string, number>} */
    const sums = {};
    for (const report of reports) {
      for (const [name, count] of Object.entries(report[key])) sums[name] = (sums[name] ?? 0) + count;
    }
    return sums;
  };
  const latency = (/** @type {keyof LoadReport['latency_us']} */ key) => reports.map((report) => report.latency_us[key]);
  return {
    requests: total('requests'),
    connections: total('connections'),
    seconds: total('seconds'),
    failed: byKey('failed'),
    workers: byKey('workers'),
    latency_us: {
      p50: median(latency('p50')),
      p90: median(latency('p90')),
      p99: median(latency('p99')),
      'p99.9': median(latency('p99.9')),
      max: Math.max(...latency('max')),
    },
  };
}

/**
 * @param {LoadReport} report
 * @returns {number} how many requests failed
 */
function failures(report) {
  return Object.values(report.failed).reduce((total, count) => total + count, 0);
}

/**
 * @param {LoadReport} report
 * @param {number[]} workers  the pids that should have served
 * @returns {number} the most answers of a worker, by the fewest
 */
function spread(report, workers) {
  const counts = workers.map((pid) => report.workers[pid] ?? 0);
  return Math.max(...counts) / Math.min(...counts);
}

module.exports = { runLoad, together, failures, spread };
