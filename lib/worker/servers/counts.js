'use strict';

// How many connections servers have, for the board, where the primary reads it.

const contexts = require('../../contexts.js');
const { counted } = require('../../handles/counted.js');

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
    if (typeof server._connections !== 'number') return; // UDP
    const known = this.#known.get(server);
    if (known) {
      known.listener = listener;
      return;
    }
    const observe = () => this.#observe(server);
    this.#known.set(server, { seen: server._connections, coming: undefined, listener });
    counted.set(server, observe);
    const { _emitCloseIfDrained: emitCloseIfDrained } = server;
    Object.defineProperty(server, '_emitCloseIfDrained', {
      configurable: true,
      writable: true,
      value(/** @type {any[]} */ ...args) {
        observe();
        return Reflect.apply(emitCloseIfDrained, this, args);
      },
    });
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
      if (count?.coming !== undefined && server._connections === count.seen) {
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
    if (server._connections > count.seen) this.#board[OPENED] += server._connections - count.seen;
    else if (server._connections < count.seen) this.#end(count.seen - server._connections);
    count.seen = server._connections;
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
