'use strict';

// Replacing all workers of a service: one shows whether the new version is any good, then the others follow.

const { ours } = require('../errors.js');

/**
 * @typedef {import('./seat.js').Seat} Seat
 * @typedef {{ workers: import('./seat.js').ReloadedWorker[], time: number }} ReloadReport
 */

/**
 * @template T
 * @typedef {object} Job
 * @property {Promise<T>} promise
 * @property {(result: Promise<T>) => void} settle
 * @property {boolean} hasBegun
 */

/**
 * One reload at a time. One that is asked for before the other has begun is the same; later it comes after it, and is the
 * same as others that wait.
 *
 * @template T
 */
class ReloadQueue {
  /** @type {Job<T> | undefined} */
  #current;
  /** @type {Job<T> | undefined} */
  #next;
  #run;

  /** @param {() => Promise<T>} run Has to call `isOver` when nothing is left to be done. */
  constructor(run) {
    this.#run = run;
  }

  get isBusy() {
    return this.#current !== undefined;
  }

  ask() {
    const waiting = this.#next ?? (this.#current?.hasBegun ? undefined : this.#current);
    if (waiting) return waiting.promise;
    /** @type {Job<T>['settle']} */
    let settle = () => {};
    const promise = new Promise((/** @type {Job<T>['settle']} */ resolve) => {
      settle = resolve;
    });
    const job = { promise, settle, hasBegun: false };
    if (this.#current) this.#next = job;
    else this.#begin(job);
    return promise;
  }

  /** @param {Job<T>} job */
  #begin(job) {
    this.#current = job;
    queueMicrotask(() => {
      job.hasBegun = true;
      job.settle(this.#run());
    });
  }

  isOver() {
    const next = this.#next;
    this.#current = undefined;
    this.#next = undefined;
    if (next) this.#begin(next);
  }

  /** Resolves when nothing is under way. */
  async idle() {
    while (this.#current) await (this.#next ?? this.#current).promise.catch(() => {});
  }
}

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
 * @param {'ERR_RCLUSTER_RELOAD_FAILED' | 'ERR_RCLUSTER_STOPPED'} code
 * @param {string} message
 * @param {Error | undefined} cause
 * @param {ReloadReport} report
 */
function failed(code, message, cause, report) {
  return Object.assign(ours(code, message), { cause, report });
}

module.exports = { ReloadQueue, reloadAll };
