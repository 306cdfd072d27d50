'use strict';

// Looks after workers that run, but not well: whose event loop hangs, or whose memory has grown too large.

const { memory } = require('./process_figures.js');

/** How often (ms) memory is looked at. */
const MEMORY_INTERVAL = 2000;
/** So many looks make up `hangTimeout`. */
const LOOKS = 8;

/**
 * @typedef {import('./occupant.js').Occupant} Occupant
 */

/**
 * A loop that turns is seen on the worker's board. One that does not may be idle: it is given an empty packet, which
 * makes an idle loop turn. Only one that has not turned since is hanging.
 */
class Watchdog {
  /** @type {NodeJS.Timeout[]} */
  #timers = [];
  /**
   * What was seen at the last look: the turns of a loop, and for how long (ms) it has not turned though asked to.
   *
   * @type {WeakMap<Occupant, { turns: number, asked: boolean, silent: number }>}
   */
  #seen = new WeakMap();
  #lastLook = performance.now();
  #lookInterval;
  #port;
  #options;
  #on;

  /**
   * @param {import('../primary/port.js').Port} port
   * @param {Readonly<import('./options.js').Options>} options
   * @param {{
   *   occupants: () => Occupant[],
   *   onHang: (occupant: Occupant, time: number) => void,
   *   onMemory: (occupant: Occupant, bytes: number) => void,
   * }} on
   */
  constructor(port, options, on) {
    this.#port = port;
    this.#options = options;
    this.#on = on;
    this.#lookInterval = Math.max(10, options.hangTimeout / LOOKS);
    if (options.hangTimeout > 0) this.#every(this.#lookInterval, () => this.#lookForHangs());
    if (options.maxMemory > 0) this.#every(MEMORY_INTERVAL, () => this.#lookAtMemory());
  }

  /**
   * @param {number} interval
   * @param {() => void} look
   */
  #every(interval, look) {
    this.#timers.push(setInterval(look, interval).unref());
  }

  #lookForHangs() {
    const now = performance.now();
    // We have been stopped, or busy, if this took longer: then nobody was asked to turn.
    const passed = Math.min(now - this.#lastLook, this.#lookInterval * 1.5);
    this.#lastLook = now;
    for (const occupant of this.#on.occupants()) this.#look(occupant, passed);
  }

  /**
   * @param {Occupant} occupant
   * @param {number} passed ms since the last look.
   */
  #look(occupant, passed) {
    const { turns } = occupant.board;
    const seen = this.#seen.get(occupant);
    if (seen?.turns !== turns) {
      this.#seen.set(occupant, { turns, asked: false, silent: 0 });
      return;
    }
    if (seen.asked) seen.silent += passed;
    seen.asked = true;
    this.#port.nudge(occupant.worker);
    if (seen.silent < this.#options.hangTimeout) return;
    this.#seen.delete(occupant);
    this.#on.onHang(occupant, Math.round(seen.silent));
  }

  #lookAtMemory() {
    for (const occupant of this.#on.occupants()) {
      const bytes = memory(occupant.pid);
      if (bytes > this.#options.maxMemory) this.#on.onMemory(occupant, bytes);
    }
  }

  stop() {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

module.exports = { Watchdog };
