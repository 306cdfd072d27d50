'use strict';

// How many connections servers have, for the board, where the primary reads it.

const contexts = require('../../contexts.js');
const { counted } = require('../../handles/counted.js');
const { connectionsOf, whenConnectionEnds } = require('../../node/net.js');

/** Instead of the descriptor of a connection: it came out of the queue, or nobody needs to know. */
const TAKEN = -2;
const UNKNOWN = -1;

/** Where the board's counts are. */
const OPENED = 0;
const ENDED = 1;

/**
 * What is known of a server.
 *
 * @typedef {object} Count
 * @property {number} seen Its connections.
 * @property {number | undefined} coming While a connection is handed to it: its descriptor, or one of the above.
 * @property {number | undefined} listener Where it gets its connections; nothing for one with a shared socket.
 */

class Counts {
  /** @type {WeakMap<object, Count>} */
  #known = new WeakMap();
  #context = new contexts.Context();
  /** Connections that began without the queue, and connections that are over. */
  #board;
  #ways;

  /**
   * @param {Uint32Array | number[]} board
   * @param {object} ways
   * @param {(fd: number) => void} ways.look One came that brings the number of its descriptor.
   * @param {(number: number) => void} ways.ended So many are over.
   * @param {(listener: number) => void} ways.changed A server of this listener has more, or fewer, or as many.
   */
  constructor(board, ways) {
    this.#board = board;
    this.#ways = ways;
  }

  /**
   * Follows the connections that a server has, which `net` counts in a property of it, without touching that property: with
   * an accessor in its place V8 takes all properties of the server for slow ones, at a sixth of what a request costs. `net`
   * calls a method whenever one has ended; where one begins we are.
   *
   * @param {any} server
   * @param {number} [listener]
   */
  watch(server, listener) {
    const seen = connectionsOf(server);
    if (seen === undefined) return; // UDP
    const known = this.#known.get(server);
    if (known) {
      known.listener = listener;
      return;
    }
    const observe = () => this.#observe(server);
    this.#known.set(server, { seen, coming: undefined, listener });
    counted.set(server, observe);
    whenConnectionEnds(server, observe);
  }

  /**
   * Hands a connection to its server, which counts it first of all, unless it refuses it.
   *
   * @param {any} server
   * @param {number} fd Of a connection that came from a socket of its own; else one of TAKEN and UNKNOWN.
   * @param {() => void} handOver
   */
  begin(server, fd, handOver) {
    const count = this.#known.get(server);
    if (count) count.coming = fd;
    try {
      if (contexts.entered) this.#context.run(handOver);
      else handOver();
    } finally {
      if (count?.coming !== undefined && connectionsOf(server) === count.seen) {
        count.coming = undefined;
        if (fd === TAKEN) this.#board[ENDED]++;
      }
      this.#observe(server);
    }
  }

  /**
   * Puts on the board what has begun and what is over.
   *
   * @param {any} server
   */
  #observe(server) {
    const count = this.#known.get(server);
    if (!count) return;
    const { coming } = count;
    if (coming !== undefined) {
      count.coming = undefined;
      count.seen++;
      // Those from the queue have been counted as taken.
      if (coming !== TAKEN) this.#board[OPENED]++;
      if (coming >= 0) this.#ways.look(coming);
    }
    const now = /** @type {number} */ (connectionsOf(server));
    if (now > count.seen) this.#board[OPENED] += now - count.seen;
    else if (now < count.seen) this.#end(count.seen - now);
    count.seen = now;
    if (count.listener !== undefined) this.#ways.changed(count.listener);
  }

  /** One came from a socket of its own, and goes on to another worker. */
  passedOn() {
    this.#board[OPENED]++;
  }

  /** @param {number} number */
  #end(number) {
    this.#board[ENDED] += number;
    this.#ways.ended(number);
  }
}

module.exports = { Counts, TAKEN, UNKNOWN };
