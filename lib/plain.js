'use strict';

// Which messages are the same in JSON as in V8's format. With `serialization: 'advanced'` those travel as JSON, which is
// several times as fast for small ones: V8's format takes two objects of C++ per message.

const { isProxy } = require('node:util').types;

const { getPrototypeOf, keys, prototype: ofObjects } = Object;
const { isArray, prototype: ofArrays } = Array;
const tagOf = Function.prototype.call.bind(ofObjects.toString);

/** The most that a message may hold: one for each value, two more for each object, one for 64 characters of text. */
const BUDGET = 96;

let budget = 0;
/** Objects that have been found so far: one that comes again is a reference, which JSON does not know. @type {object[]} */
const seen = [];

/**
 * Whether a message is small and comes out of JSON exactly as it would come out of V8's format.
 *
 * @param {unknown} message
 * @returns {boolean}
 */
function isPlain(message) {
  budget = BUDGET;
  try {
    return isPlainValue(message);
  } finally {
    seen.length = 0;
  }
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function isPlainValue(value) {
  if (--budget < 0) return false;
  switch (typeof value) {
    case 'string':
      budget -= value.length >> 6;
      return budget >= 0;
    case 'number':
      // JSON knows neither infinities nor NaN nor -0.
      return value - value === 0 && (value !== 0 || 1 / value > 0);
    case 'boolean':
      return true;
    case 'object':
      return value === null || isPlainObject(value);
    default:
      return false;
  }
}

/**
 * @param {object} object
 * @returns {boolean}
 */
function isPlainObject(object) {
  budget -= 2;
  if (isProxy(object) || seen.includes(object) || 'toJSON' in object) return false;
  seen.push(object);
  const names = keys(object);
  if (isArray(object)) {
    // Neither holes nor properties of its own.
    return getPrototypeOf(object) === ofArrays && names.length === object.length && object.every(isPlainValue);
  }
  // Classes may hide what they are; `arguments` and errors cannot, not even with this prototype.
  if (getPrototypeOf(object) !== ofObjects || tagOf(object) !== '[object Object]') return false;
  return names.every((name) => isPlainValue(/** @type {any} */ (object)[name]));
}

module.exports = { isPlain };
