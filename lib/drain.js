'use strict';

// A worker that leaves without losing anything: nothing new comes, idle HTTP connections move to other workers while
// their clients notice nothing, and what is busy moves (or ends) when its response is done.

const net = require('node:net');

const { detach } = require('./handles.js');

/** How often (ms) we look, besides when a response has ended. */
const LOOK = 25;
/** Connections that cannot move and send nothing are closed after this part of the time. */
const PATIENCE = 0.5;

/**
 * The sockets that a method of an HTTP server would destroy. Node's own lists of idle and of all connections are
 * private; these methods are not.
 *
 * @param {any} server
 * @param {'closeIdleConnections' | 'closeAllConnections'} method
 * @returns {any[]}
 */
function socketsFoundBy(server, method) {
  /** @type {any[]} */
  const found = [];
  const { prototype } = net.Socket;
  const own = Object.getOwnPropertyDescriptor(prototype, 'destroy');
  prototype.destroy = function destroy() {
    found.push(this);
    return this;
  };
  try {
    server[method]();
  } finally {
    if (own) Object.defineProperty(prototype, 'destroy', own);
    else Reflect.deleteProperty(prototype, 'destroy');
  }
  return found;
}

/** @param {any} server */
const isHttp = (server) => typeof server.closeIdleConnections === 'function';

/**
 * Whether a connection could go on in another process: all that it sent and got is known to the kernel alone.
 *
 * @param {any} socket
 */
function canMove(socket) {
  const raw = socket._handle;
  return (
    !socket.encrypted &&
    !socket.destroyed &&
    typeof raw?.fd === 'number' &&
    raw.fd >= 0 &&
    socket.readableLength === 0 &&
    socket.writableLength === 0 &&
    !raw.writeQueueSize
  );
}

/** All listening servers of this process, those with a socket of their own, too. */
function listeningServers() {
  // @ts-expect-error: not in the types.
  const handles = /** @type {any[]} */ (process._getActiveHandles());
  return handles.filter((handle) => handle instanceof net.Server && handle.listening);
}

/** Emptying the servers of this worker. */
class Drain {
  moved = 0;
  finished = 0;
  #servers;
  #ours;
  #closeIdleAt;
  #sweepIsDue = false;
  /** @type {() => void} */
  #onEmpty = () => {};

  /**
   * @param {import('./servers.js').Servers} ours
   * @param {number} timeout ms
   * @param {boolean} alone There is no primary any more, and nobody to move to.
   */
  constructor(ours, timeout, alone) {
    this.#ours = ours;
    this.alone = alone;
    this.#servers = new Set([...ours.all(), ...listeningServers()]);
    this.#closeIdleAt = performance.now() + (alone ? 0 : timeout * PATIENCE);
  }

  /**
   * Resolves when no connection is left.
   *
   * @returns {Promise<void>}
   */
  async run() {
    this.#ours.stopTaking();
    for (const server of this.#servers) this.#prepare(server);
    for (const session of this.#ours.sessions) session.close();
    const before = this.#count();
    const timer = setInterval(() => this.#sweep(), LOOK);
    await new Promise((resolve) => {
      this.#onEmpty = () => resolve(undefined);
      this.#sweep();
    });
    clearInterval(timer);
    this.finished = Math.max(0, before - this.moved);
    for (const server of this.#servers) if (server.listening) server.close();
  }

  #count() {
    let count = 0;
    for (const server of this.#servers) count += server._connections ?? 0;
    return count;
  }

  /** @param {any} server */
  #prepare(server) {
    // One with a socket of its own must stop accepting by itself.
    if (!this.#ours.has(server)) server.close();
    if (!isHttp(server)) return;
    server.prependListener('request', (/** @type {any} */ request, /** @type {any} */ response) => {
      this.#onResponse(request.socket, response);
    });
    for (const socket of socketsFoundBy(server, 'closeAllConnections')) {
      if (socket._httpMessage) this.#onResponse(socket, socket._httpMessage);
    }
  }

  /**
   * @param {any} socket
   * @param {any} response Not complete yet.
   */
  #onResponse(socket, response) {
    // The client learns that it has to come back on another connection.
    if ((socket.encrypted || this.alone) && !response.headersSent) {
      response.shouldKeepAlive = false;
      response.setHeader('Connection', 'close');
    }
    response.once('close', () => {
      if (this.#sweepIsDue) return;
      this.#sweepIsDue = true;
      setImmediate(() => {
        this.#sweepIsDue = false;
        this.#sweep();
      });
    });
  }

  #sweep() {
    for (const server of this.#servers) if (isHttp(server)) this.#sweepServer(server);
    if (this.#count() === 0) this.#onEmpty();
  }

  /** @param {any} server */
  #sweepServer(server) {
    const idle = socketsFoundBy(server, 'closeIdleConnections');
    const fresh = socketsFoundBy(server, 'closeAllConnections').filter((socket) => socket.bytesRead === 0 && !idle.includes(socket));
    for (const socket of [...idle, ...fresh]) {
      if (!this.alone && canMove(socket)) this.#move(server, socket);
      else if (performance.now() >= this.#closeIdleAt) socket.destroy();
    }
  }

  /**
   * @param {any} server
   * @param {any} socket
   */
  #move(server, socket) {
    const raw = socket._handle;
    raw.readStop();
    if (this.#ours.passOn(server, raw.fd)) {
      this.moved++;
      detach(socket, raw);
      // Another process has it now; closing our copy ends nothing.
      raw.close();
      socket.destroy();
    } else {
      raw.readStart();
    }
  }
}

module.exports = { Drain };
