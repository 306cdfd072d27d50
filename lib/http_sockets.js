'use strict';

// The connections of an HTTP server, and which of them are idle. Node's own lists are private; the methods that go through
// them are not.

/**
 * Whether a server speaks HTTP/1, perhaps besides HTTP/2.
 *
 * @param {any} server
 */
const isHttp = (server) => typeof server.closeIdleConnections === 'function';

/**
 * The sockets that a method of an HTTP server would destroy.
 *
 * @param {any} server
 * @param {'closeIdleConnections' | 'closeAllConnections'} method
 * @returns {any[]}
 */
function socketsFoundBy(server, method) {
  /** @type {any[]} */
  const found = [];
  // Not before it is needed: most workers never do.
  const { Server } = require('node:http');
  const { prototype } = require('node:net').Socket;
  const own = Object.getOwnPropertyDescriptor(prototype, 'destroy');
  prototype.destroy = function destroy() {
    found.push(this);
    return this;
  };
  try {
    // HTTP/2 servers have but one of them, and the same lists.
    Reflect.apply(Server.prototype[method], server, []);
  } finally {
    if (own) Object.defineProperty(prototype, 'destroy', own);
    else Reflect.deleteProperty(prototype, 'destroy');
  }
  return found;
}

/**
 * All connections of an HTTP server that speak HTTP: those that were upgraded do not.
 *
 * A connection is idle when all that came was answered, and all of the answer has left this process. One on which nothing
 * ever came is idle, too; for Node it is not.
 *
 * @param {any} server
 * @returns {{ socket: any, response: any, idle: boolean }[]} `response` is the one that is being written.
 */
function closableSockets(server) {
  const idle = new Set(socketsFoundBy(server, 'closeIdleConnections'));
  return socketsFoundBy(server, 'closeAllConnections').map((socket) => {
    const response = socket._httpMessage;
    return { socket, response, idle: !response && (idle.has(socket) || socket.bytesRead === 0) };
  });
}

module.exports = { closableSockets, isHttp };
