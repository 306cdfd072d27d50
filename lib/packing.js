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
  /** Whether this tick has become a burst, or goes on with one: then not even its first messages leave by themselves. */
  #inBurst = false;
  /** How many messages the piece is to have, and has. */
  #piece = FIRST_PIECE;
  #count = 0;
  /** By the clock of the wall, which is the quickest to read: when it is put right, a burst leaves earlier or later. */
  #since = 0;

  beginTick() {
    this.#inBurst = false;
    if (this.#sentLastTick > BURST && Date.now() - this.#since < BURST_PAUSE) this.#beginBurst();
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
      if (this.#sentThisTick <= BURST) return true;
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
/** The most of them in one message, and the most properties that are looked at. */
const MOST_TEXTS = 32;
/** The most characters of all of them together: in UTF-8 less than a frame may hold. */
const MOST_TEXT = 2 ** 28;

/**
 * Takes long texts out of a plain object. Looks for them among its first properties, where they usually are.
 *
 * @param {any} message An object, or null.
 * @returns {{ json: string, texts: string[] } | undefined} The texts, and the JSON of `[their names, the rest]`;
 *   nothing when there are none. Throws when the rest has no JSON form.
 */
function takeApart(message) {
  // Says the same as the prototype nearly always, and sooner: most messages have no long text.
  if (message === null || message.constructor !== Object) return undefined;
  /** @type {string[] | undefined} */
  let names;
  let looked = 0;
  for (const name in message) {
    const value = message[name];
    if (typeof value === 'string' && value.length >= LONG_TEXT) (names ??= []).push(name);
    if (++looked === MOST_TEXTS) break;
  }
  if (!names || Object.getPrototypeOf(message) !== Object.prototype || 'toJSON' in message) return undefined;
  const rest = { ...message };
  const texts = names.map((name) => rest[name]);
  if (!canTravelBeside(texts)) return undefined;
  for (const name of names) rest[name] = '';
  return { json: JSON.stringify([names, rest]), texts };
}

/**
 * Whether values are texts that come out as they went in.
 *
 * @param {any[]} texts
 */
function canTravelBeside(texts) {
  // Half a surrogate pair has no form in UTF-8; JSON escapes it.
  const isText = (/** @type {any} */ text) => typeof text === 'string' && /** @type {any} */ (text).isWellFormed();
  return texts.every(isText) && lengthOf(texts) <= MOST_TEXT;
}

/**
 * The opposite. Throws when what has come does not fit together.
 *
 * @param {string} json
 * @param {string[]} texts
 * @returns {any} The message.
 */
function putTogether(json, texts) {
  const [names, message] = JSON.parse(json);
  if (names.length !== texts.length) throw new Error('a message came with other texts than it names');
  for (const [index, name] of names.entries()) message[name] = texts[index];
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

module.exports = { Pace, areTooMuch, putTogether, takeApart };
