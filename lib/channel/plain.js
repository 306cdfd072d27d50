'use strict';

// Which messages are the same in JSON as in V8's format. With `serialization: 'advanced'` those travel as JSON, which is
// several times as fast for small ones: V8's format takes two objects of C++ per message.

const { types } = require('node:util');

const { isAnyArrayBuffer, isMap, isProxy, isSet } = types;
const { getOwnPropertyDescriptor, getPrototypeOf, keys, prototype: ofObjects } = Object;
const { isArray, prototype: ofArrays } = Array;
const { isView } = ArrayBuffer;
const { toStringTag } = Symbol;
const tagOf = Function.prototype.call.bind(ofObjects.toString);

/** The most that a message may hold: one for each value, two more for each object, one for 64 characters of text. */
const BUDGET = 96;

let budget = 0;
/** The first object that has been found, and the others: one that comes again is a reference, which JSON does not know. */
/** @type {object | undefined} */
let first;
/** @type {object[]} */
const others = [];

/**
 * Whether a message is small and comes out of JSON exactly as it would come out of V8's format. Nothing of it can notice that it
 * is looked at: a message with getters is none.
 *
 * @param {unknown} message
 * @returns {boolean}
 */
function isPlain(message) {
  budget = BUDGET;
  const plain = isPlainValue(message);
  first = undefined;
  if (others.length > 0) others.length = 0;
  return plain;
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
 * @param {any} object
 * @returns {boolean}
 */
function isPlainObject(object) {
  budget -= 2;
  if (isProxy(object) || object === first || others.includes(object) || 'toJSON' in object) return false;
  if (first === undefined) first = object;
  else others.push(object);
  if (isArray(object)) return isPlainArray(object);
  if (!isOrdinary(object)) return false;
  let count = 0;
  for (const name in object) {
    // Without one it is a member of `Object.prototype`, which is not sent.
    const property = getOwnPropertyDescriptor(object, name);
    if (property === undefined) continue;
    if (property.get !== undefined || property.set !== undefined || !isPlainValue(property.value)) return false;
    count++;
  }
  return count > 0 || !isSpecial(object);
}

/**
 * Whether an object that is no proxy is nothing but its properties, as far as that can be seen without them.
 *
 * @param {object} object
 */
function isOrdinary(object) {
  // Classes may hide what they are, behind this prototype as well.
  if (getPrototypeOf(object) !== ofObjects || toStringTag in object || tagOf(object) !== '[object Object]') return false;
  return !(isMap(object) || isSet(object) || isAnyArrayBuffer(object) || isView(object));
}

/**
 * Neither properties of its own nor, as `undefined` is not plain, holes.
 *
 * @param {unknown[]} array
 * @returns {boolean}
 */
function isPlainArray(array) {
  const { length } = array;
  if (length > budget || getPrototypeOf(array) !== ofArrays || keys(array).length !== length) return false;
  for (let index = 0; index < length; index++) if (!isPlainValue(array[index])) return false;
  return true;
}

/**
 * Whether an object without properties is more than it looks.
 *
 * @param {object} object
 */
function isSpecial(object) {
  const { isExternal, isGeneratorObject, isMapIterator, isPromise, isSetIterator, isWeakMap, isWeakSet } = types;
  const tests = [isPromise, isWeakMap, isWeakSet, isMapIterator, isSetIterator, isGeneratorObject, isExternal];
  return tests.some((test) => test(object));
}

module.exports = { isOrdinary, isPlain };
