'use strict';

// When messages are written. A few in one tick leave at once, each by itself, so that a process that sends and then dies, is
// busy for long, or answers a request has sent. More of them are a burst: they leave together, in pieces, of which the
// other side works on one while the next is made.

/**
 * More messages than this in one tick are a burst: what comes after them leaves at the end of the tick, in one write.
 * Fewer leave one by one, as in Node, where a message that is sent before a response is written also arrives before it.
 */
const BURST = 8;
/** A tick belongs to the burst of the one before when it comes within this time (ms). */
const BURST_PAUSE = 10;
/** A piece of a burst is written before the end of the tick when it gets longer than this (characters or bytes). */
const LONG_PIECE = 64 * 1024;
/** Or older (ms), for which the clock is read with every so many messages: that costs a tenth of a message. */
const OLD_PIECE = 1;
const CLOCK_EVERY = 4;
/** Or when it has so many messages: the first one soon, each further one twice as many, up to a limit. */
const FIRST_PIECE = 16;
const LAST_PIECE = 64;

class Pace {
  #sentThisTick = 0;
  #sentLastTick = 0;
  #isEnding = false;
  /** Whether this tick has become a burst, or goes on with one: then not even its first messages leave by themselves. */
  #inBurst = false;
  /** How many messages the piece is to have, and has. */
  #piece = FIRST_PIECE;
  #count = 0;
  /** By the clock of the wall, which is the quickest to read: when it is put right, a burst leaves earlier or later. */
  #since = 0;

  /** @param {boolean} [isEnding] Whether there may be no end of this tick, so that nothing may wait for it. */
  beginTick(isEnding = false) {
    this.#inBurst = false;
    this.#isEnding = isEnding;
    if (this.#sentLastTick > BURST && !isEnding && Date.now() - this.#since < BURST_PAUSE) this.#beginBurst();
  }

  endTick() {
    this.#sentLastTick = this.#sentThisTick;
    this.#sentThisTick = 0;
  }

  /**
   * There is one more message.
   *
   * @param {number} waiting Characters or bytes that are not written yet.
   * @returns {boolean} Whether they are to be written now.
   */
  isDue(waiting) {
    this.#sentThisTick++;
    if (!this.#inBurst) {
      if (this.#sentThisTick <= BURST || this.#isEnding) return true;
      this.#beginBurst();
    }
    const due =
      ++this.#count === this.#piece ||
      waiting > LONG_PIECE ||
      (this.#count % CLOCK_EVERY === 0 && Date.now() - this.#since > OLD_PIECE);
    if (due) this.#beginPiece(Math.min(2 * this.#piece, LAST_PIECE));
    return due;
  }

  #beginBurst() {
    this.#inBurst = true;
    this.#beginPiece(FIRST_PIECE);
  }

  /** @param {number} length */
  #beginPiece(length) {
    this.#piece = length;
    this.#count = 0;
    this.#since = Date.now();
  }
}

module.exports = { Pace };
