'use strict';

// The HTTP/1 connections of this process, whichever server they came from, and which of them are idle.

const net = require('node:net');

const { parsersOf, responseOn } = require('../../node/http.js');
const { connectionsOf } = require('../../node/net.js');
const { activeHandles } = require('../../node/process.js');

/** How long (ms) a connection of which Node keeps no list must have been silent to be taken for idle. */
const SILENCE = 500;

/** What such a connection had read when it was last seen to have read more. @type {WeakMap<any, { bytes: number, since: number }>} */
const silent = new WeakMap();

/** Connections that were handed to an HTTP server which does not listen itself: Node keeps no list of those. */
function unlistedSockets() {
  return activeHandles().filter((handle) => handle instanceof net.Socket && /** @type {any} */ (handle).parser?.socket === handle && 'server' in handle);
}

/**
 * Whether nothing is under way on a connection that no list tells of. Half a header cannot be seen, so it must have been
 * silent for a while, too.
 *
 * @param {any} socket
 */
function isSilent(socket) {
  const now = performance.now();
  const known = silent.get(socket);
  if (!known || known.bytes !== socket.bytesRead) {
    silent.set(socket, { bytes: socket.bytesRead, since: now });
    return false;
  }
  return now - known.since > SILENCE && (socket.parser.incoming?.complete ?? true);
}

/**
 * A connection is idle when all that came was answered. One on which nothing ever came is idle, too; for Node it is not.
 *
 * @typedef {object} HttpConnection
 * @property {any} socket
 * @property {any} response The one that is being written.
 * @property {boolean} idle
 * @property {boolean} listed Whether it is known for certain where a request ends.
 */

/**
 * All connections that speak HTTP/1: those that were upgraded do not.
 *
 * @param {Iterable<any>} servers
 * @returns {HttpConnection[]}
 */
function httpConnections(servers) {
  /** @type {Map<any, HttpConnection>} */
  const found = new Map();
  let open = 0;
  for (const server of servers) {
    open += connectionsOf(server) ?? 0;
    const parsers = parsersOf(server);
    if (!parsers) continue;
    const idle = new Set(parsers.idle());
    for (const parser of parsers.all()) {
      const { socket } = parser;
      if (!socket) continue;
      const response = responseOn(socket);
      found.set(socket, { socket, response, idle: !response && (idle.has(parser) || socket.bytesRead === 0), listed: true });
    }
  }
  if (open <= found.size) return [...found.values()];
  for (const socket of unlistedSockets()) {
    if (found.has(socket)) continue;
    const response = responseOn(socket);
    // Looked at each time, to know since when.
    const idle = isSilent(socket);
    found.set(socket, { socket, response, idle: idle && !response, listed: false });
  }
  return [...found.values()];
}

module.exports = { httpConnections };
