'use strict';

// What a new worker has to listen on before the one whose place it takes may leave.

/**
 * @typedef {import('./occupant.js').Occupant} Occupant
 * @typedef {import('../primary/port.js').ListenedOn} ListenedOn
 */

/**
 * The addresses that the predecessor listens on at the moment, as long as it lives: were it to leave before the new one has them
 * all, one of its ports would be closed for a while, or for good. An ephemeral port that was opened on the way, such as
 * that of a transfer, is its own affair.
 */
class Expectation {
  #predecessor;
  #others;

  /**
   * @param {Occupant | undefined} predecessor
   * @param {() => Occupant[]} others All that do their work.
   */
  constructor(predecessor, others) {
    this.#predecessor = predecessor;
    this.#others = others;
  }

  get #living() {
    const one = this.#predecessor;
    return one && (one.state === 'ready' || one.state === 'running') ? one : undefined;
  }

  /**
   * What the predecessor listens on and the new worker does not, in words.
   *
   * @param {Occupant} occupant
   */
  missing(occupant) {
    return this.#missing(occupant).map(({ name }) => name);
  }

  /**
   * The part of it without which the new worker cannot take over. What the predecessor alone had is not, if the new
   * one does what all others do: it may be the one that was chosen for it.
   *
   * @param {Occupant} occupant
   */
  needed(occupant) {
    const living = this.#living;
    const missing = this.#missing(occupant);
    if (!living || missing.length === 0) return [];
    const others = this.#others().filter((other) => other !== living && other !== occupant);
    const common = living.addresses.length + living.own.length > missing.length;
    const optional = others.length > 0 && common;
    return missing.filter(({ key }) => !optional || others.some((other) => has(other, key))).map(({ name }) => name);
  }

  /**
   * @param {Occupant} occupant
   * @returns {ListenedOn[]}
   */
  #missing(occupant) {
    const living = this.#living;
    if (!living) return [];
    const missing = living.lastingAddresses.filter(({ key }) => !has(occupant, key));
    // Their ports may differ: only how many they are can be compared.
    const own = living.own.slice(occupant.own.length).map((name) => ({ key: '', name, fixed: true }));
    return [...missing, ...own];
  }
}

/**
 * @param {Occupant} occupant
 * @param {string} key
 */
const has = (occupant, key) => occupant.addresses.some((one) => one.key === key);

module.exports = { Expectation };
