'use strict';

// When to start a worker again that has died by itself. Pure: the clock and the dice are given.

/** So many crashes of a service that has never worked are a crash loop. */
const FIRST_LIMIT = 4;

/**
 * How a worker has died.
 *
 * @typedef {object} Crash
 * @property {boolean} early Before it could show that it works.
 * @property {boolean} deaf Because it could not listen.
 * @property {number} lived ms, since it had begun to do its work.
 */

/**
 * How the others are.
 *
 * @typedef {object} Others
 * @property {boolean} works Whether any worker has ever stayed alive for a while.
 * @property {boolean} isOld Whether any has for long.
 * @property {number} oldest ms, for which one of those that live has done its work.
 */

/** Whoever has lived for twice as long as those that died, and this (ms), does not share their fate. */
const MARGIN = 100;

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

/**
 * Counts crashes of all workers: too many in too short a time are a crash loop. It is fatal where the service has never
 * worked: no worker has stayed alive for a while, or none for long and all die as they cannot listen, be it on their second port;
 * and nobody is left who has outlived them.
 */
class CrashLoop {
  /** The last crashes, oldest first. @type {(Crash & { time: number })[]} */
  #crashes = [];
  #options;

  /** @param {import('./options.js').Restart} options */
  constructor(options) {
    this.#options = options;
  }

  /**
   * Notes a crash at `time` (ms). Returns how many there were, if this one makes a loop of them.
   *
   * @param {number} time
   * @param {Crash} crash
   * @param {Others} others
   * @returns {{ count: number, fatal: boolean, early: boolean } | undefined} `early`: none has lived for a while.
   */
  crashed(time, crash, { works, isOld, oldest }) {
    const { limit, window } = this.#options;
    this.#crashes.push({ time, ...crash });
    while (this.#crashes[0].time <= time - window) this.#crashes.shift();
    const first = Math.min(limit, FIRST_LIMIT);
    const areAll = (/** @type {'early' | 'deaf'} */ how) => {
      const alike = this.#crashes.filter((one) => one[how]);
      return alike.length >= first && oldest <= 2 * Math.max(...alike.map(({ lived }) => lived)) + MARGIN;
    };
    if (!works && areAll('early')) return this.#loop(first, true, true);
    if (!isOld && areAll('deaf')) return this.#loop(first, true, false);
    if (this.#crashes.length >= limit) return this.#loop(limit, false, false);
    return undefined;
  }

  /**
   * @param {number} count
   * @param {boolean} fatal
   * @param {boolean} early
   */
  #loop(count, fatal, early) {
    this.#crashes = [];
    return { count, fatal, early };
  }
}

module.exports = { Backoff, CrashLoop };
