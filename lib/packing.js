'use strict';

// How messages are packed.
//
// When messages are written. A few in one tick leave at once, each by itself, so that a process that sends and then dies, is
// busy for long, or answers a request has sent. More of them are a burst: they leave together, in pieces, of which the
// other side works on one while the next is made.
//
// Long texts of a message travel beside its JSON: escaping and parsing them would cost more than sending.
//
// One file, loaded with the channel: each module costs a worker's start, and none can be loaded when descriptors have run out.

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

/** A text is long from so many characters on. */
const LONG_TEXT = 16 * 1024;
/** The most of them in one message. */
const MOST_TEXTS = 32;
/** The most properties of a message that is looked at. */
const MOST_PROPERTIES = 64;
/** The most characters of all of them together: in UTF-8 less than a frame may hold. */
const MOST_TEXT = 2 ** 28;

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;

/**
 * Takes long texts out of a plain object, of which nothing can notice that it is looked at: getters are called once, in their
 * turn, and what has no JSON form throws what it would throw without this.
 *
 * @param {any} message An object, or null.
 * @param {typeof JSON.stringify} stringify
 * @returns {{ json: string, texts: string[] } | undefined} The texts, and the JSON of `[their names, the rest]`; nothing when
 *   there are none.
 */
function takeApart(message, stringify) {
  if (message === null || require('node:util').types.isProxy(message)) return undefined;
  if (getPrototypeOf(message) !== Object.prototype || 'toJSON' in message) return undefined;
  const properties = keys(message);
  if (properties.length > MOST_PROPERTIES) return undefined;
  /** @type {any} */
  const rest = {};
  let mayCopy = true;
  // Each by itself: where old libraries give arrays a `toJSON`, that is not for ours.
  const names = [];
  const taken = new Set();
  const texts = [];
  for (const name of properties) {
    const descriptor = getOwnPropertyDescriptor(message, name);
    // A getter is left to `stringify`, which calls it in its turn.
    if (!descriptor || descriptor.get || descriptor.set) return undefined;
    const { value } = descriptor;
    if (typeof value === 'string' && value.length >= LONG_TEXT) {
      names.push(stringify(name));
      taken.add(name);
      texts.push(value);
      descriptor.value = '';
    } else if (typeof value === 'bigint' || (typeof value === 'object' && value !== null)) {
      mayCopy &&= require('./plain.js').isPlain(value);
    }
    defineProperty(rest, name, descriptor);
  }
  if (texts.length === 0 || texts.length > MOST_TEXTS || !canTravelBeside(texts)) return undefined;
  // Functions of the program may be called, and may throw, or the message may be part of itself: then it is gone through once, in place.
  const json = mayCopy ? stringify(rest) : stringify(message, without(message, taken));
  return { json: `[[${names.join()}],${json}]`, texts };
}

/**
 * For `JSON.stringify`: leaves the texts of these names empty.
 *
 * @param {object} message
 * @param {Set<string>} taken
 * @returns {(this: any, name: string, value: unknown) => unknown}
 */
function without(message, taken) {
  return function replacer(name, value) {
    return this === message && taken.has(name) ? '' : value;
  };
}

/**
 * Whether texts come out as they went in.
 *
 * @param {string[]} texts
 */
function canTravelBeside(texts) {
  // Half a surrogate pair has no form in UTF-8; JSON escapes it.
  return lengthOf(texts) <= MOST_TEXT && texts.every((/** @type {any} */ text) => text.isWellFormed());
}

/**
 * The opposite. Throws when what has come does not fit together.
 *
 * @param {any} parts Names and the rest, parsed.
 * @param {string[]} texts
 * @returns {any} The message.
 */
function putTogether(parts, texts) {
  const [names, message] = parts;
  if (names.length !== texts.length) throw new Error('a message came with other texts than it names');
  // By no method of arrays: old libraries have others of the same names, and the rest of the message would be lost silently.
  for (let index = 0; index < texts.length; index++) message[names[index]] = texts[index];
  return message;
}

/**
 * Whether texts are more than one message has.
 *
 * @param {string[]} texts
 */
function areTooMuch(texts) {
  return texts.length > MOST_TEXTS || lengthOf(texts) > MOST_TEXT;
}

/** @param {string[]} texts */
function lengthOf(texts) {
  return texts.reduce((sum, { length }) => sum + length, 0);
}

module.exports = { LONG_TEXT, Pace, areTooMuch, lengthOf, putTogether, takeApart };
