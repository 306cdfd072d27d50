'use strict';

// A time limit for others.

/** In so many parts a time is counted. */
const PARTS = 8;
/** A part that took this much longer than it should was not theirs to use. */
const TOLERANCE = 1.5;

/**
 * Calls `onOver` after so many milliseconds, in which this process could be talked to: what it was stopped or busy is not
 * counted, and what has come meanwhile is seen first.
 */
class Countdown {
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {NodeJS.Immediate | undefined} */
  #immediate;
  #left;
  #part;
  #onOver;

  /**
   * @param {number} time ms
   * @param {() => void} onOver
   */
  constructor(time, onOver) {
    this.#left = time;
    this.#part = Math.max(1, Math.ceil(time / PARTS));
    this.#onOver = onOver;
    this.#count();
  }

  #count() {
    const part = Math.min(this.#part, this.#left);
    const start = performance.now();
    this.#timer = setTimeout(() => {
      this.#left -= Math.min(performance.now() - start, part * TOLERANCE);
      // Timers come before what sockets have to say.
      if (this.#left <= 0) this.#immediate = setImmediate(this.#onOver);
      else this.#count();
    }, part);
  }

  stop() {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }
}

module.exports = { Countdown };
