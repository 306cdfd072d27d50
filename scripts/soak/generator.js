'use strict';

/**
 * Random numbers that can be repeated (mulberry32, by Tommy Ettinger).
 *
 * @param {number} seed
 */
function generator(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  /** @param {number} end one more than the greatest */
  const integer = (end) => Math.floor(next() * end);
  /**
   * @template T
   * @param {T[]} items
   */
  const one = (items) => items[integer(items.length)];
  return { integer, one };
}

module.exports = { generator };
