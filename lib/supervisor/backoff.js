'use strict';

// When to start a worker again that has died by itself. Pure: the clock and the dice are given.

/** So many crashes before any worker was ever ready are a crash loop. */
const FIRST_LIMIT = 4;

/** One seat's delays: each crash makes the next one longer, a long life makes it short again. */
class Backoff {
  #crashes = 0;
  #options;
  #random;

  /**
   * @param {import('./options.js').Restart} options
   * @param {() => number} [random] From 0 to 1.
   */
  constructor(options, random = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /**
   * How long (ms) to wait after a worker that lived for `uptime` (ms) has died. Half of it is chance, so that workers
   * that died together do not start together.
   *
   * @param {number} uptime
   */
  next(uptime) {
    const { delay, factor, max, resetAfter } = this.#options;
    if (uptime >= resetAfter) this.#crashes = 0;
    const full = Math.min(max, delay * factor ** this.#crashes++);
    return Math.round(full / 2 + (full / 2) * this.#random());
  }
}

/** Counts crashes of all workers: too many in too short a time are a crash loop. */
class CrashLoop {
  /** @type {number[]} Times of the last crashes, oldest first. */
  #times = [];
  #options;

  /** @param {import('./options.js').Restart} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Notes a crash at `time` (ms). Returns how many there were within the window, if this one makes a loop of them.
   *
   * @param {number} time
   * @param {boolean} everReady Whether any worker was ever ready: a service that has never run is given up sooner.
   */
  crashed(time, everReady) {
    const { window } = this.#options;
    const limit = everReady ? this.#options.limit : Math.min(this.#options.limit, FIRST_LIMIT);
    this.#times.push(time);
    while (this.#times[0] <= time - window) this.#times.shift();
    if (this.#times.length < limit) return 0;
    this.#times = [];
    return limit;
  }
}

module.exports = { Backoff, CrashLoop };
