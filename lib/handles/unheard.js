'use strict';

// Connections that came with a message for which nobody listens. They are closed, but a moment later: as with the built-in module, whoever
// has just connected need not see the end of it before anything else.

const { load } = require('../native.js');

/** So many at most: of more the oldest is closed at once. */
const MOST = 16;
/** How long (ms) they stay open. */
const TIME = 1000;

class Unheard {
  /** @type {number[]} */
  #fds = [];
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {number} fd */
  keep(fd) {
    this.#fds.push(fd);
    if (this.#fds.length > MOST) this.#closeOldest();
    this.#timer ??= setTimeout(() => this.close(), TIME).unref();
  }

  #closeOldest() {
    // Another process has had it: closing may take long.
    load().closeForeign(/** @type {number} */ (this.#fds.shift()));
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#fds.length > 0) this.#closeOldest();
  }
}

module.exports = { Unheard };
