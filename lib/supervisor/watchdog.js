'use strict';

// Looks after workers that run, but not well: whose event loop hangs, or whose memory has grown too large.

const { memory } = require('./process_figures.js');

/** How often (ms) memory is looked at. */
const MEMORY_INTERVAL = 2000;
/** So many looks make up `hangTimeout`. */
const LOOKS = 4;

/**
 * @typedef {import('./member.js').Member} Member
 */

/**
 * A loop that turns is seen on the worker's board. One that does not may be idle: it is given an empty packet, which
 * makes an idle loop turn. Only one that has not turned since is hanging.
 */
class Watchdog {
  /** @type {NodeJS.Timeout[]} */
  #timers = [];
  /** @type {WeakMap<Member, { turns: number, since: number }>} */
  #seen = new WeakMap();
  #core;
  #options;
  #on;

  /**
   * @param {import('../primary.js').Core} core
   * @param {Readonly<import('./options.js').Options>} options
   * @param {{
   *   members: () => Member[],
   *   onHang: (member: Member, time: number) => void,
   *   onMemory: (member: Member, bytes: number) => void,
   * }} on
   */
  constructor(core, options, on) {
    this.#core = core;
    this.#options = options;
    this.#on = on;
    if (options.hangTimeout > 0) this.#every(Math.max(10, options.hangTimeout / LOOKS), () => this.#lookForHangs());
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
    for (const member of this.#on.members()) {
      const { turns } = this.#core.board(member.worker);
      const seen = this.#seen.get(member);
      if (!seen || seen.turns !== turns) {
        this.#seen.set(member, { turns, since: now });
      } else if (now - seen.since >= this.#options.hangTimeout) {
        this.#seen.delete(member);
        this.#on.onHang(member, Math.round(now - seen.since));
      } else {
        this.#core.nudge(member.worker);
      }
    }
  }

  #lookAtMemory() {
    for (const member of this.#on.members()) {
      const bytes = memory(member.pid);
      if (bytes > this.#options.maxMemory) this.#on.onMemory(member, bytes);
    }
  }

  stop() {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

module.exports = { Watchdog };
