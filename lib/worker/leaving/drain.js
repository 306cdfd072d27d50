'use strict';

// A worker that leaves without losing anything: nothing new comes, idle HTTP connections move to other workers while
// their clients notice nothing, and what is busy moves (or ends) when its response is done.

const diagnostics = require('node:diagnostics_channel');
const net = require('node:net');

const { detach } = require('../../handles/handles.js');
const { connectionsOf, hasSentAll, rawOf, serverOf } = require('../../node/net.js');
const { activeHandles } = require('../../node/process.js');
const { httpConnections } = require('./http_sockets.js');
const { LastAnswers } = require('./last_answers.js');
const { isMovable, isWhole } = require('./movable.js');
const { timeLeft } = require('../servers/moved.js');
const { isHttp2 } = require('../servers/sessions.js');

/** How often (ms) we look, besides when a response has ended. */
const LOOK = 25;
/** Connections that cannot move and send nothing are closed after this part of the time. */
const PATIENCE = 0.5;
/**
 * When there is nobody left to move to, they are closed after this time (ms), if that is sooner: so long each reply tells
 * its client to come back on another connection.
 */
const NOTICE = 1000;

/** Where Node tells of each HTTP/1 request of this process, before anybody answers it. */
const REQUESTS = 'http.server.request.start';

/**
 * Servers of this process that we may not know of: those with a socket of their own, and those that their user has closed
 * and that still have connections.
 */
function otherServers() {
  return activeHandles().flatMap((handle) => {
    if (handle instanceof net.Server) return handle.listening ? [handle] : [];
    return handle instanceof net.Socket && serverOf(handle) ? [serverOf(handle)] : [];
  });
}

/** Emptying the servers of this worker. */
class Drain {
  moved = 0;
  finished = 0;
  #servers;
  #ours;
  #last;
  #mayMove;
  #timeout;
  #closeIdleAt;
  #sweepIsDue = false;
  /** Whether all that will ever come is in our queue already. */
  #nothingComes = false;
  #connections = 0;
  #answers = new LastAnswers((socket) => this.#last || this.#staying.has(socket) || !this.#canEverMove(socket, false));
  /** Connections of which something was found that could not move with them. */
  #staying = new WeakSet();
  /** Those that we wait for. */
  #responses = new WeakSet();
  /** @type {() => void} */
  #onEmpty = () => {};

  /**
   * @param {import('../servers/servers.js').Servers} ours
   * @param {number} timeout ms
   * @param {object} options
   * @param {boolean} options.last There is nobody to move to.
   * @param {boolean} options.move Whether connections may move.
   */
  constructor(ours, timeout, { last, move }) {
    this.#ours = ours;
    this.#last = last;
    this.#mayMove = move;
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
    // Those from which nothing was taken go like them.
    if (!this.#last) this.#ours.proxied?.giveBack();
    for (const server of this.#servers) this.#prepare(server);
    for (const [session, streams] of this.#ours.sessions) this.#endSession(session, streams);
    // To listen to the servers would change what they do, and there may be some that we do not know.
    diagnostics.subscribe(REQUESTS, (message) => this.#onResponse(/** @type {any} */ (message).response));
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

  /** They do not keep the process alive any more. */
  unrefServers() {
    for (const server of this.#servers) if (server.listening) server.unref();
  }

  #count() {
    let count = this.#ours.proxied?.size ?? 0;
    for (const server of this.#servers) count += connectionsOf(server) ?? 0;
    return count;
  }

  /** @param {any} server */
  #prepare(server) {
    // One with a socket of its own must stop accepting by itself. Closing the whole server would close idle connections.
    if (!this.#ours.has(server)) rawOf(server)?.close();
    if (this.#last) server.prependListener('connection', () => this.#connections++);
    // One whose handshake is under way.
    if (isHttp2(server)) server.on('session', (/** @type {any} */ session) => this.#endSession(session, 0));
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

  /** @param {any} response Of HTTP/1, not complete yet. */
  #onResponse(response) {
    if (this.#responses.has(response)) return;
    this.#responses.add(response);
    this.#answers.ask(response);
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
    this.#sweepConnections();
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

  #sweepConnections() {
    const isTime = performance.now() >= this.#closeIdleAt;
    const left = new Set();
    for (const { socket, response, idle, listed } of httpConnections(this.#servers)) {
      // Those that were under way before we listened.
      if (response) this.#onResponse(response);
      if (!idle || (listed && this.#canMove(socket) && this.#move(socket))) continue;
      if (isTime || this.#answers.isTold(socket)) left.add(socket);
    }
    if (left.size === 0) return;
    // What has come and was not read yet is read before that.
    setImmediate(() => this.#closeIdle(left));
  }

  /** @param {Set<any>} sockets Closed if they are still idle. */
  #closeIdle(sockets) {
    for (const { socket, idle } of httpConnections(this.#servers)) {
      if (idle && sockets.has(socket) && hasSentAll(socket)) socket.destroy();
    }
  }

  /**
   * @param {any} socket
   * @param {boolean} idle
   */
  #canEverMove(socket, idle) {
    return this.#mayMove && this.#ours.canPassOn(serverOf(socket), rawOf(socket)?.fd ?? -1) && isMovable(socket, idle);
  }

  /** @param {any} socket An idle one. */
  #canMove(socket) {
    if (this.#last || this.#answers.isTold(socket) || !isWhole(socket)) return false;
    if (this.#canEverMove(socket, true)) return true;
    this.#staying.add(socket);
    return false;
  }

  /**
   * @param {any} socket
   * @returns {boolean} Whether it went.
   */
  #move(socket) {
    const raw = rawOf(socket);
    raw.readStop();
    if (!this.#ours.passOn(serverOf(socket), raw, timeLeft(socket))) {
      raw.readStart();
      return false;
    }
    this.moved++;
    detach(socket);
    // Another process has it now; closing our copy ends nothing.
    raw.close();
    socket.destroy();
    return true;
  }
}

module.exports = { Drain };
