'use strict';

// Long texts of a message travel beside its JSON: escaping and parsing them would cost more than sending.

/** From so many characters on. */
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

module.exports = { areTooMuch, putTogether, takeApart };
