'use strict';

// Who is believed when it says whom a connection comes from (PROXY protocol).

const { isIPv4, isIPv6 } = require('node:net');

/** Whoever may connect to a Unix socket. */
const UNIX = 'unix';
/** More make each connection slow. */
const MOST = 1000;
/** What they have to be. */
const RULE = "a list of 1 to 1,000 trusted senders, addresses or networks such as '10.0.0.0/8' and '::1', or 'unix'";

/** @param {string} text */
function isSender(text) {
  if (text === UNIX) return true;
  const [, address, length] = /^([\da-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/i.exec(text) ?? [];
  if (address === undefined) return false;
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return length === undefined ? most > 0 : Number(length) <= most;
}

/**
 * @param {unknown} value A list, or a text of several parted by commas.
 * @returns {readonly string[] | undefined} `undefined` for what is none.
 */
function senders(value) {
  const list = typeof value === 'string' ? value.split(',').map((text) => text.trim()) : value;
  if (!Array.isArray(list) || list.length === 0 || list.length > MOST) return undefined;
  return list.every((text) => typeof text === 'string' && isSender(text)) ? Object.freeze([...list]) : undefined;
}

/**
 * What an error shows of a value that is no list of senders: the first in it that is none, if it is that.
 *
 * @param {unknown} value
 */
function noSender(value) {
  const list = typeof value === 'string' ? value.split(',').map((text) => text.trim()) : value;
  const bad = Array.isArray(list) ? list.find((text) => typeof text !== 'string' || !isSender(text)) : undefined;
  return bad === undefined || bad === '' ? value : bad;
}

module.exports = { RULE, noSender, senders };
