'use strict';

// Replacing all workers of a service: one shows whether the new version is any good, then the others follow.

const { coded } = require('../errors.js');

/**
 * @typedef {import('./seat.js').Seat} Seat
 * @typedef {{ workers: import('./seat.js').ReloadedWorker[], time: number }} ReloadReport
 */

/**
 * Resolves to a report. Rejects when a new worker fails: the old ones that have not been replaced by then stay.
 *
 * @param {readonly Seat[]} seats
 * @param {object} options
 * @param {number} options.parallel How many at a time.
 * @param {() => boolean} options.isStopping
 * @returns {Promise<ReloadReport>}
 */
async function reloadAll(seats, { parallel, isStopping }) {
  const start = Date.now();
  /** @type {import('./seat.js').ReloadedWorker[]} */
  const workers = [];
  const waiting = [...seats];
  let first = true;
  /** @type {Error | undefined} */
  let failure;

  const replaceNext = async () => {
    const seat = waiting.shift();
    if (!seat || seat.vacated) return;
    try {
      workers.push(await seat.replace(first));
      first = false;
    } catch (error) {
      // A place that was given up meanwhile needs no new worker.
      if (!seat.vacated) failure ??= /** @type {Error} */ (error);
    }
  };
  while (first && waiting.length > 0 && !failure && !isStopping()) await replaceNext();
  const lanes = Array.from({ length: parallel }, async () => {
    while (waiting.length > 0 && !failure && !isStopping()) await replaceNext();
  });
  await Promise.all(lanes);

  const report = { workers, time: Date.now() - start };
  if (isStopping()) throw failed('ERR_RCLUSTER_STOPPED', 'The reload was given up: the supervisor stops', undefined, report);
  if (failure) {
    const old = seats.length - workers.length;
    const message = `The reload failed, ${old} of ${seats.length} workers stay as they were: ${failure.message}`;
    throw failed('ERR_RCLUSTER_RELOAD_FAILED', message, failure, report);
  }
  return report;
}

/**
 * @param {string} code
 * @param {string} message
 * @param {Error | undefined} cause
 * @param {ReloadReport} report
 */
function failed(code, message, cause, report) {
  return Object.assign(coded(Error, code, message), { cause, report });
}

module.exports = { reloadAll };
