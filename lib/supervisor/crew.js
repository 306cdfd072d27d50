'use strict';

// The workers of a service: its seats, who is in them, and who is leaving.

const { Seat } = require('./seat.js');

/** @typedef {import('./occupant.js').Occupant} Occupant */

class Crew {
  /** Dense: when the service gets smaller, the highest go. @type {Seat[]} */
  #seats = [];
  /** All workers that have not exited, those that are leaving included. @type {Set<Occupant>} */
  alive = new Set();
  #service;

  /**
   * @param {(prospects: import('./occupant.js').Prospects) => Occupant} start A worker.
   * @param {Omit<import('./seat.js').Service, 'newOccupant' | 'occupants'>} service
   */
  constructor(start, service) {
    this.#service = {
      ...service,
      newOccupant: (/** @type {import('./occupant.js').Prospects} */ prospects) => {
        const occupant = start(prospects);
        this.alive.add(occupant);
        occupant.once('exit', () => this.alive.delete(occupant));
        return occupant;
      },
      occupants: () => this.occupants,
    };
  }

  get seats() {
    return /** @type {readonly Seat[]} */ (this.#seats);
  }

  /** Those that have a seat and do their work, or are taken to. */
  get occupants() {
    return this.#seats.flatMap(({ occupant }) => (occupant?.isUsable ? [occupant] : []));
  }

  /** How many do their work. */
  get ready() {
    return this.#seats.filter(({ occupant }) => occupant?.state === 'ready').length;
  }

  /** Starts one more. */
  add() {
    const seat = new Seat(this.#seats.length, this.#service);
    this.#seats.push(seat);
    return seat.fill();
  }

  /** From now on there are so many seats at most. Returns those that there were besides. @param {number} count */
  cut(count) {
    return this.#seats.splice(count);
  }

  /** @param {Occupant} occupant */
  seatOf(occupant) {
    return this.#seats.find((seat) => seat.occupant === occupant);
  }

  /** Nobody who dies is replaced. */
  abandon() {
    for (const seat of this.#seats) seat.abandon();
  }

  /** What each worker is doing, and who is leaving besides. */
  status() {
    const inSeats = new Set(this.#seats.map(({ occupant }) => occupant));
    const leaving = [...this.alive].filter((occupant) => occupant.state === 'retiring' && !inSeats.has(occupant));
    return {
      workers: this.#seats.map((seat) => seat.status()),
      leaving: leaving.map(({ pid, board, uptime }) => ({ pid, uptime, connections: board.active })),
    };
  }
}

module.exports = { Crew };
