'use strict';

// A connection that another worker had: how long it may stay idle goes with it.

const { untilTimeout } = require('../../node/net.js');

/** Instead of ms: it may stay idle for ever. */
const NO_LIMIT = 0xffff_ffff;

/** A request that tells a parser that one is over. */
const REQUEST = Buffer.from('GET / HTTP/1.1\r\n\r\n');
/** Where Node keeps what its HTTP parser calls during a request. */
const CALLBACKS = [0, 1, 2, 3, 4];

/** Until when (`performance.now()`) connections that have moved here may be idle. @type {WeakMap<any, number>} */
const deadlines = new WeakMap();

/**
 * How long an idle connection may stay so, as the connection queue has it: 1 more than the ms, or NO_LIMIT; 0 for one that
 * nobody has served yet.
 *
 * @param {any} socket
 */
function timeLeft(socket) {
  if (socket.bytesRead > 0) return socket.timeout ? encode(untilTimeout(socket)) : NO_LIMIT;
  const deadline = deadlines.get(socket);
  return deadline === undefined ? 0 : encode(deadline - performance.now());
}

/** @param {number} ms */
const encode = (ms) => (ms === Infinity ? NO_LIMIT : Math.min(Math.max(Math.ceil(ms), 0) + 1, NO_LIMIT - 1));

/**
 * Makes a connection that its HTTP server takes for new what it is: one between two requests. What comes next has all the
 * time that a request has, but until then only idleness counts, and nobody is sent a 408 for it.
 *
 * @param {any} socket
 * @param {number} left as of `timeLeft`
 */
function goOnIdle(socket, left) {
  if (left === 0 || socket.bytesRead > 0 || !endRequest(socket.parser)) return;
  const ms = left === NO_LIMIT ? Infinity : left - 1;
  deadlines.set(socket, performance.now() + ms);
  // `server.timeout`, which begins with the next request.
  const { timeout } = socket;
  if (ms === Infinity) return;
  if (timeout) socket.setTimeout(0);
  const onTime = () => {
    if (socket.destroyed) return;
    // As when `keepAliveTimeout` is over: the program is asked, if it wants to be.
    if (socket.bytesRead === 0) socket.emit('timeout');
    else if (timeout && !socket.timeout) socket.setTimeout(timeout);
  };
  setTimeout(onTime, ms).unref();
}

/**
 * Brings a parser on which nothing has come to where it is after a request. Nobody hears of that one.
 *
 * @param {any} parser
 */
function endRequest(parser) {
  if (typeof parser?.execute !== 'function') return false;
  const callbacks = CALLBACKS.map((name) => parser[name]);
  for (const name of CALLBACKS) parser[name] = undefined;
  try {
    return parser.execute(REQUEST) === REQUEST.length;
  } finally {
    for (const name of CALLBACKS) parser[name] = callbacks[name];
  }
}

/**
 * Hands a moved connection to its server.
 *
 * @param {any} server
 * @param {number} left as of `timeLeft`
 * @param {() => void} handOver
 */
function adopt(server, left, handOver) {
  /** @type {any} */
  let socket;
  const listener = (/** @type {any} */ one) => (socket = one);
  server.prependOnceListener('connection', listener);
  try {
    handOver();
  } finally {
    server.off('connection', listener);
  }
  if (socket) goOnIdle(socket, left);
}

module.exports = { adopt, timeLeft };
