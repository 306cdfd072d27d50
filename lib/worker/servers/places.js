'use strict';

// The places of this worker's servers on each address. The first server of each worker there shares one listener with the others'
// first, the second with the second.

/**
 * A server's place among those of this worker on one address.
 *
 * @typedef {object} Place
 * @property {number} index
 * @property {() => boolean} isKnown Whether a server has listened there and not closed, or has failed to.
 * @property {() => void} leave
 * @property {() => void} fail It could not listen.
 */

class Places {
  /** @type {Map<string, { next: number, taken: Set<number>, failed: boolean }>} */
  #places = new Map();

  /**
   * @param {string} address
   * @returns {Place}
   */
  next(address) {
    let places = this.#places.get(address);
    if (!places) this.#places.set(address, (places = { next: 0, taken: new Set(), failed: false }));
    const { taken } = places;
    if (taken.size === 0) places.next = 0;
    const index = places.next++;
    taken.add(index);
    const leave = () => {
      taken.delete(index);
      if (taken.size === 0 && !places.failed) this.#places.delete(address);
    };
    const fail = () => {
      places.failed = true;
      leave();
    };
    return { index, leave, fail, isKnown: () => this.#places.has(address) };
  }
}

module.exports = { Places };
