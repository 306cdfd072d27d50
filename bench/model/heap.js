'use strict';

/**
 * What happens next first: a binary heap of [time, ...] entries.
 *
 * @template {{ time: number }} T
 */
class Heap {
  /** @type {T[]} */
  #items = [];

  get size() {
    return this.#items.length;
  }

  /** @param {T} item */
  push(item) {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    for (;;) {
      const above = (at - 1) >> 1;
      if (at === 0 || items[above].time <= item.time) break;
      items[at] = items[above];
      at = above;
    }
    items[at] = item;
  }

  /** @returns {T} the earliest; there must be one */
  pop() {
    const items = this.#items;
    const first = items[0];
    const last = /** @type {T} */ (items.pop());
    if (items.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && items[below + 1].time < items[below].time) below++;
      if (items[below].time >= last.time) break;
      items[at] = items[below];
      at = below;
    }
    items[at] = last;
    return first;
  }
}

module.exports = { Heap };
