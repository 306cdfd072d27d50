'use strict';

// Descriptors have run out: nothing is taken until there are some.

/** How long (ms) to wait before trying again. */
const RETRY_TIME = 100;
/** Or until so many connections have ended: as many as come in one packet of the queue. */
const ENOUGH_ENDED = 16;
/** Warnings within this time (ms) are one episode. */
const EPISODE = 60_000;

class Shortage {
  #queue;
  #ways;
  /** @type {NodeJS.Timeout | undefined} */
  #retry;
  #at = -Infinity;
  /** Connections that have ended since descriptors ran out; `undefined` while they have not. @type {number | undefined} */
  #ended;
  /** With which connection from now on that sockets of its own bring it is to look for room in the descriptor table. */
  #nextLook = 1;

  /**
   * @param {Pick<import('../../native-types').ConnectionQueue, 'accepted' | 'resume'>} queue
   * @param {{ pause: () => void, goOn: () => void }} ways What sockets of its own do: libuv closes what has no descriptor.
   */
  constructor(queue, ways) {
    this.#queue = queue;
    this.#ways = ways;
  }

  /** One more connection has come from a socket of its own. @returns {boolean} Whether {@link look} is to be called for it. */
  isDue() {
    return --this.#nextLook <= 0;
  }

  /**
   * Whether there is room for more.
   *
   * @param {number} fd Of the last connection.
   */
  look(fd) {
    this.#nextLook = this.#queue.accepted(fd);
    if (this.#nextLook === 0) this.begin();
  }

  /** There are none left. */
  begin() {
    const now = performance.now();
    if (now - this.#at > EPISODE) {
      const text = 'this worker has run out of file descriptors: new connections wait until some are closed, or go to others';
      process.emitWarning(text, { code: 'RCLUSTER_DESCRIPTORS' });
    }
    this.#at = now;
    this.#ended = 0;
    this.#ways.pause();
    this.retryLater();
  }

  /** @param {number} number So many connections are over. */
  ended(number) {
    if (this.#ended === undefined) return;
    this.#ended += number;
    if (this.#ended >= ENOUGH_ENDED) this.#tryAgain();
  }

  /** What could not be done is tried again. */
  retryLater() {
    this.#retry ??= setTimeout(() => this.#tryAgain(), RETRY_TIME);
  }

  /** Takes connections again, and sends what could not be sent, if there are descriptors for it now. */
  #tryAgain() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#queue.resume()) {
      this.#ended = undefined;
      this.#ways.goOn();
    } else {
      if (this.#ended !== undefined) this.#ended = 0;
      this.retryLater();
    }
  }

  /** No connection comes any more. */
  close() {
    clearTimeout(this.#retry);
    this.#ended = undefined;
  }
}

module.exports = { Shortage };
