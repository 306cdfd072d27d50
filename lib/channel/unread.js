'use strict';

// What waits for the other side to read it, as far as it is not its own affair.

/** What control messages that a worker does not read may come to, in the primary: characters, and more for each and for a descriptor. */
const MOST_UNREAD = 4 << 20;
const WEIGHT_OF_ANSWER = 64;
const WEIGHT_OF_DESCRIPTOR = 4096;
/** When so many connections that others have sent wait for a worker to read them, the others have to wait. */
const MANY_PASSED_ON = 256;
/** More never wait here; what comes then is for somebody else. */
const MOST_PASSED_ON = 1024;

class Unread {
  /** What our own control messages come to that wait with others to be written. */
  #control = 0;
  /** How many connections of others wait with them. */
  #passedOn = 0;
  /** To be called when they are written, or never will be. @type {(() => void)[]} */
  #waiting = [];

  /**
   * One more control message waits.
   *
   * @param {number} length
   * @param {boolean} hasDescriptor
   */
  addControl(length, hasDescriptor) {
    this.#control += length + WEIGHT_OF_ANSWER + (hasDescriptor ? WEIGHT_OF_DESCRIPTOR : 0);
  }

  /** Whether the other side asks and does not read the answers. */
  get isTooMuch() {
    return this.#control > MOST_UNREAD;
  }

  /** Whether another connection may wait here. */
  get hasRoom() {
    return this.#passedOn < MOST_PASSED_ON;
  }

  /** One more connection waits. @returns {boolean} Whether those that send them have to wait from now on. */
  addPassedOn() {
    return ++this.#passedOn >= MANY_PASSED_ON;
  }

  /** @param {() => void} goOn Called when nothing waits any more. */
  whenClear(goOn) {
    this.#waiting.push(goOn);
  }

  /** The kernel has everything. */
  clear() {
    this.#control = 0;
    this.#passedOn = 0;
    if (this.#waiting.length > 0) for (const goOn of this.#waiting.splice(0)) goOn();
  }
}

module.exports = { Unread };
