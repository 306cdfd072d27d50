'use strict';

// The servers of a worker: which there are, and what happens to all of them. Most get their connections from the queue (queued.js); some have
// a socket that other workers have, too (shared.js).

const { udpHandle } = require('../../node/dgram.js');
const { connectionsOf, rawOf } = require('../../node/net.js');
const { activeHandles } = require('../../node/process.js');
const { Places } = require('./places.js');
const { QueuedServers, adoptMoved } = require('./queued.js');
const { watchSessions } = require('./sessions.js');
const { SharedServers } = require('./shared.js');

/** @typedef {import('./places.js').Place} Place */

class Servers {
  /** Sessions of HTTP/2 servers, with their open streams. @type {Map<any, number>} */
  sessions = new Map();
  /** ms that connections of HTTP servers may stay idle which say nothing of it themselves. @type {number | undefined} */
  keepAliveTimeout;
  /** Before servers whose connections come from proxies that say whom they are from. @type {import('../proxied/gate.js').Gate | undefined} */
  proxied;
  #places = new Places();
  /** Servers that have listened and not ended yet. @type {Set<any>} */
  #known = new Set();
  #queued;
  #shared;

  /**
   * @param {(onConnection: (fd: number, listener: number, left: number, said?: Buffer) => void) => import('../../native-types').ConnectionQueue} openQueue
   * @param {(key: string) => void} onClose Called when a server has closed.
   * @param {(message: object, fd: number) => boolean} tell Sends a message to the primary.
   */
  constructor(openQueue, onClose, tell) {
    this.#queued = new QueuedServers(openQueue, {
      onClose,
      tell,
      onListening: (server, listener) => this.#watch(server, listener),
      proxied: () => this.proxied,
    });
    this.#shared = new SharedServers({
      onClose,
      onShared: (server) => this.#watch(server),
      onConnection: (server, handOver) => this.#queued.begin(server, handOver),
      adopt: adoptMoved,
      tell,
    });
  }

  /**
   * @param {string} address
   * @returns {Place}
   */
  nextPlace(address) {
    return this.#places.next(address);
  }

  /**
   * The server listens on a socket of its own that other workers have, too.
   *
   * @param {any} server
   * @param {{ key: string }} reply
   * @param {number} fd
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  share(server, { key }, fd, place, callback) {
    this.#shared.open(server, key, fd, place, callback);
  }

  /**
   * The server gets its connections from the queue and, if there is one, from a socket of its own.
   *
   * @param {any} server
   * @param {Parameters<QueuedServers['accept']>[1]} reply
   * @param {number} fd The socket of its own, or -1.
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  accept(server, reply, fd, place, callback) {
    this.#queued.accept(server, reply, fd, place, callback);
  }

  /**
   * @param {any} server
   * @param {number} [listener]
   */
  #watch(server, listener) {
    this.setKeepAlive(server);
    this.#known.add(server);
    server.once('close', () => this.#known.delete(server));
    watchSessions(server, this.sessions);
    this.#queued.count(server, listener);
  }

  /** @param {any} server */
  setKeepAlive(server) {
    if (this.keepAliveTimeout !== undefined) require('./keep_alive.js').keepAliveFor(server, this.keepAliveTimeout);
  }

  /**
   * A server that gets connections from the queue gets a socket of its own besides.
   *
   * @param {number} listener
   * @param {number} fd
   * @param {number} backlog
   */
  own(listener, fd, backlog) {
    this.#queued.own(listener, fd, backlog);
  }

  /**
   * Hands one over of which nobody knew when it came, as it had to wait.
   *
   * @param {any} server
   * @param {() => void} handOver
   */
  begin(server, handOver) {
    this.#queued.begin(server, handOver);
  }

  /**
   * Whether a connection of a server's that has waited has to go to another worker.
   *
   * @param {any} server
   */
  isFull(server) {
    return this.#queued.isFull(server);
  }

  /**
   * Gives a connection that has waited to other workers.
   *
   * @param {any} server
   * @param {any} client
   * @param {boolean} full
   */
  giveBack(server, client, full) {
    if (this.#queued.giveBack(server, client, full)) return;
    if (this.#shared.has(server)) this.#shared.passOn(server, client.fd, 0);
    client.close();
  }

  /**
   * Whether closing would destroy connections that have only just come: since Node 26 an HTTP server that is closed ends
   * those on which nothing has come yet, and ours come several at a time. If so, nothing new comes from then on.
   */
  mayCutShort() {
    if (!this.hasUnread()) return false;
    this.stopTaking();
    return true;
  }

  /** Whether an HTTP server has connections on which nothing has come yet. */
  hasUnread() {
    const http = [...this.all()].filter((server) => hasConnections(server) && typeof server.closeIdleConnections === 'function');
    if (http.length === 0) return false;
    return activeHandles().some((handle) => handle.bytesRead === 0 && http.includes(handle.server));
  }

  /**
   * Closes all servers; `done` is called when their connections have ended.
   *
   * @param {() => void} done
   */
  closeAll(done) {
    let waiting = 1;
    const finished = () => {
      if (--waiting === 0) done();
    };
    for (const server of this.all()) {
      waiting++;
      if (isOpen(server)) server.close(finished);
      else finished();
    }
    finished();
  }

  /** @returns {Set<any>} The user's servers. */
  all() {
    return new Set([...this.#shared.all(), ...this.#queued.all()]);
  }

  /** @returns {any[]} Servers that have closed by themselves and still have connections. */
  closing() {
    return [...this.#known].filter((server) => hasConnections(server) && !this.has(server));
  }

  /** @param {any} server */
  has(server) {
    return this.all().has(server);
  }

  /** Nothing new comes. What the primary has accepted already is still taken. */
  stopListening() {
    this.#queued.stopListening();
    this.#shared.stopAll();
  }

  get isTaking() {
    return this.#queued.isTaking;
  }

  /** Whatever still comes goes back. */
  stopTaking() {
    this.#queued.stopTaking();
    this.stopListening();
  }

  /** Nobody comes after this worker: connections of its seat end with it. */
  onSeatClosed() {
    this.#queued.onSeatClosed();
  }

  /**
   * Whether there may be others who can take a connection of a server.
   *
   * @param {any} server
   * @param {number} fd
   */
  canPassOn(server, fd) {
    return this.#queued.has(server) ? this.#queued.canPassOn(server, fd) : this.#shared.has(server);
  }

  /**
   * Gives a connection of a server's to other workers, with what a proxy has said of it. Its descriptor stays open here until the caller closes it.
   *
   * @param {any} server
   * @param {any} raw The connection's handle.
   * @param {number} left How long it may stay idle, as of moved.js.
   * @returns {boolean} Whether it went.
   */
  passOn(server, raw, left) {
    const said = this.proxied?.saidOf(raw);
    return this.#queued.passOn(server, raw.fd, left, said) ?? this.#shared.passOn(server, raw.fd, left, said?.toString('latin1'));
  }

  /**
   * A connection that another worker had, for a server with a shared socket.
   *
   * @param {string} key
   * @param {number} fd
   * @param {number} left
   * @param {string} [said]
   */
  adopt(key, fd, left, said) {
    this.#shared.adopt(key, fd, left, (client) => {
      if (left !== 0 || said) this.proxied?.moved(client, said);
    });
  }

  /** No connection comes any more. */
  close() {
    this.#queued.close();
  }
}

/** @param {any} server */
const hasConnections = (server) => (connectionsOf(server) ?? 0) > 0;

/** @param {any} server */
function isOpen(server) {
  return Boolean(typeof server.bind === 'function' ? udpHandle(server) : rawOf(server));
}

module.exports = { Servers };
