'use strict';

// The beginning of a service: until all its workers are ready for the first time, and how long that takes one of them.

/** A worker may take at most so many times `readyTimeout`, even if another one took longer. */
const MOST_PATIENCE = 6;

class FirstReady {
  /** Whether all have been ready at one time. */
  hasCome = false;
  #isWaiting = false;
  /** ms that the slowest worker took to get ready. */
  #longestStart = 0;
  #resolve = () => {};
  /** The service ends before that. Without effect afterwards. @type {(error: Error) => void} */
  fail = () => {};
  #readyTimeout;
  #tell;

  /**
   * @param {number} readyTimeout ms
   * @param {(event: 'ready' | 'waiting', payload?: unknown) => void} tell
   */
  constructor(readyTimeout, tell) {
    this.#readyTimeout = readyTimeout;
    this.#tell = tell;
    /** @type {Promise<void>} */
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.fail = reject;
    });
    // Whoever asked may ignore it: events tell the same.
    this.promise.catch(() => {});
  }

  /** ms that a worker may take to get ready: if one took longer than it should, another one may, too. */
  get patience() {
    return Math.max(this.#readyTimeout, Math.min(this.#longestStart * 2, this.#readyTimeout * MOST_PATIENCE));
  }

  /** One does its work, or is taken to. @param {import('./occupant.js').Occupant} occupant */
  onUsable({ state, pid, uptime }) {
    if (state === 'ready') {
      this.#longestStart = Math.max(this.#longestStart, uptime);
    } else if (!this.#isWaiting && !this.hasCome) {
      this.#isWaiting = true;
      this.#tell('waiting', { pid, time: uptime });
    }
  }

  /** All are ready. */
  come() {
    if (this.hasCome) return;
    this.hasCome = true;
    this.#resolve();
    this.#tell('ready');
  }
}

module.exports = { FirstReady };
