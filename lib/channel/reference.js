'use strict';

// What keeps a channel, and with it a process, alive.

const EventEmitter = require('node:events');

/**
 * `process.channel` and `worker.process.channel`: counts what needs the channel open, until the user
 * decides.
 */
class Control extends EventEmitter {
  /** @type {import('../native-types').Channel | null} */
  #native;
  #users = 0;
  #decidedByUser = false;
  #referenced;
  #countsUsers;

  /**
   * @param {import('../native-types').Channel} native
   * @param {boolean} countsUsers Whether an open channel without users lets the process end (as in a worker).
   */
  constructor(native, countsUsers) {
    super();
    this.#native = native;
    this.#countsUsers = countsUsers;
    this.#referenced = !countsUsers;
    native.setRef(this.#referenced);
  }

  /** One more listener, or one more write that is under way. */
  refCounted() {
    if (++this.#users === 1 && this.#countsUsers && !this.#decidedByUser) this.#set(true);
  }

  /** One fewer. */
  unrefCounted() {
    if (--this.#users === 0 && this.#countsUsers && !this.#decidedByUser) {
      this.#set(false);
      this.emit('unref');
    }
  }

  ref() {
    this.#decidedByUser = true;
    this.#set(true);
  }

  unref() {
    this.#decidedByUser = true;
    this.#set(false);
  }

  hasRef() {
    return this.#referenced;
  }

  get fd() {
    return this.#native ? this.#native.fd : undefined;
  }

  /** @param {boolean} referenced */
  #set(referenced) {
    this.#referenced = referenced;
    this.#native?.setRef(referenced);
  }
}

module.exports = { Control };
