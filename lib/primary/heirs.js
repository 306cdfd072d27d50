'use strict';

// Who goes on with a connection that a leaving worker hands on in a message: as in src/acceptor/heirs.rs.

/** What has not arrived after this time (ms) does not: the server was closed. */
const ON_THE_WAY = 2000;

/** The connections of one worker, with those that are on their way to it. */
class Load {
  #board;
  /** Handed over since there were none on their way; what had begun by then, and when the last of them went. */
  #handed = 0;
  #begun = 0;
  #at = 0;
  /** What had begun when it was last asked. */
  #total = 0;

  /** @param {() => { active: number, total: number }} board */
  constructor(board) {
    this.#board = board;
  }

  /** How many they are. */
  get count() {
    const { active, total } = this.#board();
    this.#total = total;
    const onTheWay = Math.max(0, this.#handed - (total - this.#begun));
    if (onTheWay === 0 || performance.now() - this.#at > ON_THE_WAY) this.#handed = 0;
    return active + (this.#handed && onTheWay);
  }

  /** One more is on its way, since the count was asked for. It may have arrived. */
  add() {
    if (this.#handed++ === 0) this.#begun = this.#total;
    this.#at = performance.now();
  }
}

/** Who has how many, as far as it is known. In one turn of the event loop nobody is asked twice. */
class Shares {
  /** @type {Map<import('./ties.js').Ties, number>} */
  #counts = new Map();

  /** @param {import('./ties.js').Ties} worker */
  #of(worker) {
    if (this.#counts.size === 0) setImmediate(() => this.#counts.clear());
    const count = this.#counts.get(worker) ?? worker.load.count;
    this.#counts.set(worker, count);
    return count;
  }

  /**
   * All who could go on with a connection, in the order in which they are to: the heir as long as it does not have more than its
   * part, then those with the fewest.
   *
   * @param {import('./ties.js').Ties[]} workers
   * @param {import('./ties.js').Ties | undefined} heir
   */
  inOrder(workers, heir) {
    const fewestFirst = workers.map((worker) => ({ worker, count: this.#of(worker) })).sort((a, b) => a.count - b.count);
    const all = fewestFirst.reduce((sum, { count }) => sum + count, 0);
    const order = fewestFirst.map(({ worker }) => worker);
    if (!heir || !workers.includes(heir) || this.#of(heir) * workers.length > all) return order;
    return [heir, ...order.filter((worker) => worker !== heir)];
  }

  /** @param {import('./ties.js').Ties} worker Gets one more. */
  give(worker) {
    worker.load.add();
    this.#counts.set(worker, this.#of(worker) + 1);
  }
}

module.exports = { Load, Shares };
