'use strict';

// Under SCHED_REUSEPORT each worker has a listening socket of its own, besides its connection queue. The primary keeps
// a duplicate, so that nothing is lost when this one is closed.

const { openRaw } = require('../../node/net.js');
const { load } = require('../../native.js');

class OwnSocket {
  #fd;
  #backlog;
  #onConnection;
  /** While it accepts. @type {any} */
  #raw;

  /**
   * @param {number} fd A descriptor that listens already; this object owns it.
   * @param {number} backlog
   * @param {(status: number, client: any) => void} onConnection
   */
  constructor(fd, backlog, onConnection) {
    this.#fd = fd;
    this.#backlog = backlog;
    this.#onConnection = onConnection;
  }

  /**
   * Starts to accept, or goes on.
   *
   * @returns {number} 0, or a negative errno.
   */
  open() {
    if (this.#raw || this.#fd < 0) return 0;
    const copy = load().duplicateFd(this.#fd);
    if (copy < 0) return copy;
    try {
      const raw = openRaw('tcp', copy, true);
      raw.onconnection = this.#onConnection;
      // The server that it belongs to decides whether the process lives.
      raw.unref();
      const errno = raw.listen(this.#backlog);
      if (errno) raw.close();
      else this.#raw = raw;
      return errno;
    } catch (error) {
      return /** @type {NodeJS.ErrnoException} */ (error).errno ?? -1;
    }
  }

  /** Accepts nothing for a while. libuv has no other way. */
  pause() {
    this.#raw?.close();
    this.#raw = undefined;
  }

  /** Accepts nothing any more. */
  close() {
    this.pause();
    if (this.#fd >= 0) load().closeFd(this.#fd);
    this.#fd = -1;
  }
}

module.exports = { OwnSocket };
