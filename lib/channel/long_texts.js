'use strict';

// Long texts of a message travel beside its JSON: escaping and parsing them would cost more than sending.

/** A text is long from so many characters on. */
const LONG_TEXT = 16 * 1024;
/** The most of them in one message. */
const MOST_TEXTS = 32;
/** The most properties of a message that is looked at. */
const MOST_PROPERTIES = 64;
/** The most characters of all of them together: in UTF-8 less than a frame may hold. */
const MOST_TEXT = 2 ** 28;

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;
const { isArray } = Array;
/** @type {typeof import('node:util').types | undefined} */
let types;

/**
 * Takes long texts out of a plain object, of which nothing can notice that it is looked at: getters are called once, in their
 * turn, and what has no JSON form throws what it would throw without this.
 *
 * @param {any} message An object, or null.
 * @param {typeof JSON.stringify} stringify
 * @param {boolean} advanced Whether what is not the same in JSON as in V8's format is to be left as it is.
 * @returns {{ json: string, texts: string[] } | undefined} The texts, and the JSON of `[their names, the rest]`; nothing when
 *   there are none.
 */
function takeApart(message, stringify, advanced) {
  // Not by `require`: `node --watch` and other tools send a message for each module that is loaded, and that one is looked at, too.
  const { isBoxedPrimitive, isProxy } = (types ??= process.getBuiltinModule('node:util').types);
  // The former two are what they are in JSON, whatever their prototype and members.
  if (message === null || isArray(message) || isBoxedPrimitive(message) || isProxy(message)) return undefined;
  if (getPrototypeOf(message) !== Object.prototype || 'toJSON' in message) return undefined;
  const properties = keys(message);
  if (properties.length > MOST_PROPERTIES) return undefined;
  /** @type {any} */
  const rest = {};
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
    }
    defineProperty(rest, name, descriptor);
  }
  if (texts.length === 0 || texts.length > MOST_TEXTS || !canTravelBeside(texts)) return undefined;
  if (advanced && !isPlainWith(message, rest)) return undefined;
  // Functions of the program may be called, and may throw, or the message may be part of itself: then it is gone through once, in place.
  const json = properties.every((name) => mayCopy(rest[name])) ? stringify(rest) : stringify(message, without(message, taken));
  return { json: `[[${names.join()}],${json}]`, texts };
}

/**
 * Whether no function of the program can be called for a value.
 *
 * @param {unknown} value
 */
function mayCopy(value) {
  const isSimple = typeof value !== 'bigint' && (typeof value !== 'object' || value === null);
  return isSimple || require('./plain.js').isPlain(value);
}

/**
 * Whether a message is the same in JSON as in V8's format.
 *
 * @param {object} message
 * @param {object} rest What is left of it without its texts.
 */
function isPlainWith(message, rest) {
  const { isOrdinary, isPlain } = require('./plain.js');
  return isOrdinary(message) && isPlain(rest);
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

module.exports = { LONG_TEXT, areTooMuch, lengthOf, putTogether, takeApart };
