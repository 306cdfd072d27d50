'use strict';

// Addresses of single seats: what comes to one goes to the worker of that seat alone, whichever server of the app that worker listens
// with. Their entries are listeners like all others, but for who is a member, and for how long they live: as long as the seat.

/** @typedef {import('./listeners.js').Entry} Entry */

/**
 * @typedef {object} Ways
 * @property {(question: import('./question.js').Question) => Entry | number} open A negative errno when it cannot be.
 * @property {(entry: Entry) => void} close What has come is still served.
 * @property {(key: string) => Entry | undefined} entryOf
 */

/**
 * @typedef {object} SeatPlace Where the worker of a seat is reached.
 * @property {string} [path] An absolute one.
 * @property {string} [host] An IP address.
 * @property {number} [port]
 */

/**
 * @typedef {object} Second A server of a worker's, besides the one that its seat is for.
 * @property {string} name In words.
 * @property {string} first The one that it is for.
 */

class SeatListeners {
  /** Of their entries, by the seat's number. @type {Map<number, string>} */
  #keys = new Map();
  /** What each worker listens on that its seat's address is for. @type {WeakMap<object, Entry>} */
  #served = new WeakMap();
  #ways;
  /** The port of the server that they are for; if not said, it is the first. @type {number | undefined} */
  of;
  /** Hears of servers that have no part in it, where nobody has said which has. @type {(second: Second) => void} */
  onSecond = () => {};

  /** @param {Ways} ways */
  constructor(ways) {
    this.#ways = ways;
  }

  /**
   * @param {number} seat
   * @param {Readonly<SeatPlace>} place
   * @returns {number} 0, or a negative errno.
   */
  open(seat, { path, host, port = -1 }) {
    const addressType = path !== undefined ? -1 : host?.includes(':') ? 6 : 4;
    const rest = { fd: null, index: 0, flags: 0, backlog: 0, readableAll: false, writableAll: false, data: null };
    const entry = this.#ways.open({ address: path ?? host ?? null, port, addressType, ...rest });
    if (typeof entry === 'number') return entry;
    entry.seat = seat;
    this.#keys.set(seat, entry.key);
    return 0;
  }

  /**
   * What has come is still served by the seat's worker.
   *
   * @param {number} seat
   * @returns {any[]} Who that is; during a reload two.
   */
  close(seat) {
    const entry = this.#entryOf(seat);
    this.#keys.delete(seat);
    if (!entry) return [];
    const workers = [...entry.workers];
    for (const worker of workers) worker.tell({ act: 'seat-closed' });
    this.#ways.close(entry);
    return workers;
  }

  /** @param {number | undefined} seat */
  #entryOf(seat) {
    const key = seat === undefined ? undefined : this.#keys.get(seat);
    return key === undefined ? undefined : this.#ways.entryOf(key);
  }

  /**
   * A server of the worker is about to listen: it serves the address of the worker's seat as well, if it is the one that this is for.
   *
   * @param {any} worker
   * @param {Entry} entry What it listens on.
   * @returns {Entry | undefined} That of the seat.
   */
  join(worker, entry) {
    const own = this.#entryOf(worker.seat);
    if (!own || !entry.accepted) return undefined;
    const { port, index } = entry.question;
    if (this.of !== undefined && (port !== this.of || index > 0)) return undefined;
    const first = this.#served.get(worker);
    if (first && own.workers.has(worker)) {
      if (this.of === undefined && first !== entry) this.onSecond({ name: entry.name, first: first.name });
      return undefined;
    }
    this.#served.set(worker, entry);
    own.workers.add(worker);
    worker.joined++;
    return own;
  }
}

module.exports = { SeatListeners };
