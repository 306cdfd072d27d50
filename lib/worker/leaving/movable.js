'use strict';

// Whether a connection may go on in another process: only if it is nothing but a socket. When in doubt it stays.

const net = require('node:net');

const { connectionListener } = require('../../node/http.js');
const { hasEnd, hasSentAll, rawOf, serverOf } = require('../../node/net.js');

/** What Node puts on a socket when it is first asked for, or needed. */
const LATER = ['_httpMessage', '_peername', '_server', '_sockname', 'timeout', 'unmovable'];
const LATER_SYMBOLS = ['kSetKeepAliveCount', 'kSetKeepAliveInitialDelay', 'kSetKeepAliveInterval', 'kSetNoDelay', 'kSetTOS', 'timeout'];

/**
 * A socket that an HTTP server has got, and nobody else has touched.
 *
 * @type {{ keys: Set<string | symbol>, listeners: Map<string | symbol, number> } | undefined}
 */
let untouched;

function untouchedSocket() {
  if (untouched) return untouched;
  const { Server } = require('node:http');
  const socket = new net.Socket();
  Reflect.apply(connectionListener(), new Server(), [socket]);
  const listeners = new Map(socket.eventNames().map((event) => [event, socket.listenerCount(event)]));
  untouched = { keys: new Set([...Reflect.ownKeys(socket), ...LATER]), listeners };
  socket.destroy();
  return untouched;
}

/**
 * Whether the program has put something on a socket: what it knows of the client, or its own way to do something.
 *
 * @param {any} socket
 */
function hasMore(socket) {
  const { keys } = untouchedSocket();
  return Reflect.ownKeys(socket).some((key) => !keys.has(key) && !(typeof key === 'symbol' && LATER_SYMBOLS.includes(key.description ?? '')));
}

/**
 * Whether somebody waits for what becomes of an idle socket. During a request Node does, and so do libraries.
 *
 * @param {any} socket
 */
function isListenedTo(socket) {
  const { listeners } = untouchedSocket();
  return socket.eventNames().some((/** @type {string | symbol} */ event) => socket.listenerCount(event) > (listeners.get(event) ?? 0));
}

/**
 * Whether the program does something of its own with each new connection, such as to read a first line or to remember it.
 *
 * @param {any} server
 */
const isWatched = (server) => server.listeners('connection').some((/** @type {unknown} */ listener) => listener !== connectionListener());

/**
 * Whether nothing in this process belongs to the connection but the HTTP server's own, so that it could move between two
 * requests. With `socket.unmovable` the program decides what only it can know.
 *
 * @param {any} socket
 * @param {boolean} idle Whether nothing is under way on it.
 */
function isMovable(socket, idle) {
  const { unmovable } = socket;
  const server = serverOf(socket);
  const fd = rawOf(socket)?.fd;
  if (unmovable || socket.encrypted || typeof fd !== 'number' || fd < 0 || !server) return false;
  return unmovable === false || !(isWatched(server) || hasMore(socket) || (idle && isListenedTo(socket)));
}

/**
 * Whether neither side has begun to end it, and all that it sent and got is known to the kernel alone.
 *
 * @param {any} socket
 */
function isWhole(socket) {
  const { readable, writable, readableEnded, writableEnded, readableLength } = socket;
  // `end` may have come, and wait to be told.
  return readable && writable && !readableEnded && !writableEnded && !hasEnd(socket) && readableLength === 0 && hasSentAll(socket);
}

module.exports = { isMovable, isWhole };
