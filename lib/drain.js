'use strict';

// A worker that leaves without losing anything: nothing new comes, idle HTTP connections move to other workers while
// their clients notice nothing, and what is busy moves (or ends) when its response is done.

const net = require('node:net');

const { detach } = require('./handles.js');
const { closableSockets, isHttp } = require('./http_sockets.js');
const { isHttp2 } = require('./servers.js');

/** How often (ms) we look, besides when a response has ended. */
const LOOK = 25;
/** Connections that cannot move and send nothing are closed after this part of the time. */
const PATIENCE = 0.5;
/**
 * When there is nobody left to move to, they are closed after this time (ms), if that is sooner: so long each reply tells
 * its client to come back on another connection.
 */
const NOTICE = 1000;

/**
 * Whether a connection could go on in another process: all that it sent and got is known to the kernel alone.
 *
 * @param {any} socket
 */
function canMove(socket) {
  const raw = socket._handle;
  return !socket.encrypted && !socket.destroyed && typeof raw?.fd === 'number' && raw.fd >= 0 && socket.readableLength === 0 && hasSentAll(socket);
}

/** @param {any} socket */
function hasSentAll(socket) {
  return socket.writableLength === 0 && !socket._handle?.writeQueueSize;
}

/**
 * @param {any} server
 * @param {Set<any>} sockets Closed if they are still idle.
 */
function closeIdle(server, sockets) {
  for (const { socket, idle } of closableSockets(server)) {
    if (idle && sockets.has(socket) && hasSentAll(socket)) socket.destroy();
  }
}

/**
 * Servers of this process that we may not know of: those with a socket of their own, and those that their user has closed
 * and that still have connections.
 */
function otherServers() {
  // @ts-expect-error: not in the types.
  const handles = /** @type {any[]} */ (process._getActiveHandles());
  return handles.flatMap((handle) => {
    if (handle instanceof net.Server) return handle.listening ? [handle] : [];
    return handle instanceof net.Socket && /** @type {any} */ (handle)._server ? [/** @type {any} */ (handle)._server] : [];
  });
}

/** Emptying the servers of this worker. */
class Drain {
  moved = 0;
  finished = 0;
  #servers;
  #ours;
  #last;
  #timeout;
  #closeIdleAt;
  #sweepIsDue = false;
  /** Whether all that will ever come is in our queue already. */
  #nothingComes = false;
  #connections = 0;
  /** @type {() => void} */
  #onEmpty = () => {};

  /**
   * @param {import('./servers.js').Servers} ours
   * @param {number} timeout ms
   * @param {boolean} last There is nobody to move to.
   */
  constructor(ours, timeout, last) {
    this.#ours = ours;
    this.#last = last;
    this.#timeout = timeout;
    this.#servers = new Set([...ours.all(), ...ours.closing(), ...otherServers()]);
    this.#closeIdleAt = performance.now() + this.#patience;
  }

  get #patience() {
    const patience = this.#timeout * PATIENCE;
    return this.#last ? Math.min(NOTICE, patience) : patience;
  }

  /** From now on there is nobody to move to. */
  beLast() {
    if (this.#last) return;
    this.#last = true;
    this.#closeIdleAt = Math.min(this.#closeIdleAt, performance.now() + this.#patience);
    for (const server of this.#servers) if (isHttp(server)) this.#announceOnAll(server);
  }

  /** From now on nothing comes but what is in our queue already. */
  nothingComes() {
    this.#nothingComes = true;
    this.#sweepSoon();
  }

  /**
   * Resolves when no connection is left.
   *
   * @returns {Promise<void>}
   */
  async run() {
    // The last take what has come already; others give it back.
    if (this.#last) this.#ours.stopListening();
    else this.#ours.stopTaking();
    for (const server of this.#servers) this.#prepare(server);
    for (const [session, streams] of this.#ours.sessions) this.#endSession(session, streams);
    const before = this.#count();
    const timer = setInterval(() => this.#sweep(), LOOK);
    await new Promise((resolve) => {
      this.#onEmpty = () => resolve(undefined);
      this.#sweep();
    });
    clearInterval(timer);
    this.finished = Math.max(0, before - this.moved);
  }

  /** For those who wait for their servers to close. */
  closeServers() {
    for (const server of this.#servers) if (server.listening) server.close();
  }

  #count() {
    let count = 0;
    for (const server of this.#servers) count += server._connections ?? 0;
    return count;
  }

  /** @param {any} server */
  #prepare(server) {
    // One with a socket of its own must stop accepting by itself. Closing the whole server would close idle connections.
    if (!this.#ours.has(server)) server._handle?.close();
    if (this.#last) server.prependListener('connection', () => this.#connections++);
    // One whose handshake is under way.
    if (isHttp2(server)) server.on('session', (/** @type {any} */ session) => this.#endSession(session, 0));
    if (!isHttp(server)) return;
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      // To listen for the others would change what the server does.
      if (server.listenerCount(event) === 0) continue;
      server.prependListener(event, (/** @type {any} */ request, /** @type {any} */ response) => {
        this.#onResponse(request.socket, response);
      });
    }
    this.#announceOnAll(server);
  }

  /** @param {any} server */
  #announceOnAll(server) {
    for (const { socket, response } of closableSockets(server)) if (response) this.#onResponse(socket, response);
  }

  /**
   * Sends GOAWAY, which names the last request that will be answered: what the peer has asked since it may repeat elsewhere.
   * It best travels with an answer, as a peer that waits for one may be asking nothing else. (To announce it first and close
   * later is not possible: Node's GOAWAY refuses what comes after it, whatever it says.)
   *
   * @param {import('node:http2').ServerHttp2Session} session
   * @param {number} streams That are open.
   */
  #endSession(session, streams) {
    const close = () => {
      if (!session.closed && !session.destroyed) session.close();
    };
    if (streams > 0) {
      close();
    } else {
      session.once('stream', close);
      setTimeout(close, this.#patience);
    }
  }

  /**
   * @param {any} socket
   * @param {any} response Not complete yet.
   */
  #onResponse(socket, response) {
    // The client learns that it has to come back on another connection.
    const isHttp1 = response.stream === undefined;
    if (isHttp1 && (socket.encrypted || this.#last) && !response.headersSent) {
      response.shouldKeepAlive = false;
      response.setHeader('Connection', 'close');
    }
    response.once('close', () => this.#sweepSoon());
  }

  #sweepSoon() {
    if (this.#sweepIsDue) return;
    this.#sweepIsDue = true;
    setImmediate(() => {
      this.#sweepIsDue = false;
      this.#sweep();
    });
  }

  #sweep() {
    for (const server of this.#servers) if (isHttp(server)) this.#sweepServer(server);
    if (this.#count() > 0) return;
    if (this.#ours.isTaking) this.#lookIntoQueue();
    else this.#onEmpty();
  }

  /** Until the next immediate whatever is in the queue has begun to come out of it. */
  #lookIntoQueue() {
    if (!this.#nothingComes) return;
    const connections = this.#connections;
    setImmediate(() => this.#connections === connections && this.#count() === 0 && this.#onEmpty());
  }

  /** @param {any} server */
  #sweepServer(server) {
    const left = closableSockets(server).filter(({ socket, idle }) => {
      return idle && (this.#last || !canMove(socket) || !this.#move(server, socket));
    });
    if (left.length === 0 || performance.now() < this.#closeIdleAt) return;
    // What has come and was not read yet is read before that.
    setImmediate(() => closeIdle(server, new Set(left.map(({ socket }) => socket))));
  }

  /**
   * @param {any} server
   * @param {any} socket
   * @returns {boolean} Whether it went.
   */
  #move(server, socket) {
    const raw = socket._handle;
    raw.readStop();
    if (!this.#ours.passOn(server, raw.fd)) {
      raw.readStart();
      return false;
    }
    this.moved++;
    detach(socket, raw);
    // Another process has it now; closing our copy ends nothing.
    raw.close();
    socket.destroy();
    return true;
  }
}

module.exports = { Drain };
