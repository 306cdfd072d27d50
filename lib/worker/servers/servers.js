'use strict';

// The servers of a worker: which there are, and how they get their connections. Most get them from the queue (and, under
// SCHED_REUSEPORT, from a socket of their own besides); some have a socket that other workers have, too.

const { load } = require('../../native.js');
const { udpHandle } = require('../../node/dgram.js');
const { connectionsOf, openRaw, rawOf } = require('../../node/net.js');
const { activeHandles } = require('../../node/process.js');
const { Counts, TAKEN, UNKNOWN } = require('./counts.js');
const { FullServers, hasRoom, mustGoOn } = require('./full.js');
const { Places } = require('./places.js');
const { watchSessions } = require('./sessions.js');
const { SharedServers } = require('./shared.js');
const { Shortage } = require('./shortage.js');
const { standIn } = require('./stand_in.js');

/** @typedef {import('./places.js').Place} Place */

/**
 * A server that gets connections from the queue.
 *
 * @typedef {object} Accepting
 * @property {string} key The primary's name for it.
 * @property {any} server The user's server.
 * @property {any} handle What stands in for its listening socket.
 * @property {'tcp' | 'pipe'} kind Of its connections.
 * @property {boolean} full Whether the primary thinks that it has as many connections as it may have.
 * @property {Seat} [seat] Where it gets those for the seat of this worker alone.
 * @property {import('./own_socket.js').OwnSocket} [own] Where it gets connections without the primary.
 */

/**
 * The address of this worker's seat.
 *
 * @typedef {{ key: string, listener: number, port?: number, path?: string, isClosed?: boolean }} Seat
 */

class Servers {
  /** By the listener's id. @type {Map<number, Accepting>} */
  #accepting = new Map();
  /** Sessions of HTTP/2 servers, with their open streams. @type {Map<any, number>} */
  sessions = new Map();
  /** ms that connections of HTTP servers may stay idle which say nothing of it themselves. @type {number | undefined} */
  keepAliveTimeout;
  /** Before servers whose connections come from proxies that say whom they are from. @type {import('../proxied/gate.js').Gate | undefined} */
  proxied;
  #places = new Places();
  /** How many servers want the process to live. */
  #references = 0;
  #taking = true;
  /** Servers that have listened and not ended yet. @type {Set<any>} */
  #known = new Set();
  #full = new FullServers(() => this.#lookForRoomEverywhere());
  #queue;
  #counts;
  #shared;
  #shortage;
  #onClose;
  #tell;

  /**
   * @param {(onConnection: (fd: number, listener: number, left: number, said?: Buffer) => void) => import('../../native-types').ConnectionQueue} openQueue
   * @param {(key: string) => void} onClose Called when a server has closed.
   * @param {(message: object, fd: number) => boolean} tell Sends a message to the primary.
   */
  constructor(openQueue, onClose, tell) {
    this.#queue = openQueue((fd, listener, left, said) => this.#onConnection(fd, listener, left, said));
    this.#shortage = new Shortage(this.#queue, {
      pause: () => this.#pauseOwn(),
      goOn: () => this.#openAllOwn(),
    });
    this.#counts = new Counts(/** @type {any} */ (this.#queue.counts), {
      look: (fd) => this.#shortage.look(fd),
      ended: (number) => this.#shortage.ended(number),
      changed: (listener) => this.#lookForRoom(listener),
    });
    this.#shared = new SharedServers({
      onClose,
      onShared: (server) => this.#watch(server),
      onConnection: (server, handOver) => this.#counts.begin(server, UNKNOWN, handOver),
      adopt: adoptMoved,
      tell,
    });
    this.#onClose = onClose;
    this.#tell = tell;
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
   * @param {{ key: string, listener: number, sockname: object | null, backlog: number, seat?: Seat }} reply
   * @param {number} fd The socket of its own, or -1.
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  accept(server, { key, listener, sockname, backlog, seat }, fd, place, callback) {
    let open = true;
    const addresses = seat ? [seat, { key, listener }] : [{ key, listener }];
    const handle = standIn({
      sockname,
      onReference: (change) => this.#countReference(change),
      onClose: () => {
        open = false;
        this.proxied?.giveBack(server);
        this.#accepting.get(listener)?.own?.close();
        for (const one of addresses) {
          this.#accepting.delete(one.listener);
          this.#onClose(one.key);
        }
        place.leave();
      },
    });
    this.#accepting.set(listener, { key, server, handle, kind: sockname ? 'tcp' : 'pipe', full: false, seat });
    if (seat) this.#accepting.set(seat.listener, { key: seat.key, server, handle, kind: seat.port === undefined ? 'pipe' : 'tcp', full: false });
    this.#watch(server, listener);
    callback(0, handle);
    // Only now it is ready for a connection, unless it has been closed.
    if (open) for (const one of addresses) this.#tell({ act: 'accepting', key: one.key }, -1);
    if (fd >= 0) this.own(listener, fd, backlog);
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
    this.#counts.watch(server, listener);
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
    const accepting = this.#accepting.get(listener);
    if (!accepting || accepting.own || !this.#taking) {
      load().closeFd(fd);
      return;
    }
    const { OwnSocket } = require('./own_socket.js');
    accepting.own = new OwnSocket(fd, backlog, (status, client) => this.#onOwnConnection(listener, status, client));
    if (accepting.own.open() === 0) return;
    // What comes to it is the primary's business again.
    accepting.own.close();
    this.#tell({ act: 'disown', key: accepting.key }, -1);
  }

  /** @param {number} change */
  #countReference(change) {
    this.#references += change;
    this.#queue.setRef(this.#references > 0);
  }

  #pauseOwn() {
    for (const { own } of this.#accepting.values()) own?.pause();
  }

  #openAllOwn() {
    for (const accepting of this.#accepting.values()) this.#openOwn(accepting);
  }

  /** @param {Accepting} accepting */
  #openOwn(accepting) {
    if (accepting.own && !accepting.full && this.#taking && accepting.own.open() < 0) this.#shortage.retryLater();
  }

  /**
   * The primary is told when a server that was full has room again.
   *
   * @param {number} listener
   */
  #lookForRoom(listener) {
    const accepting = this.#accepting.get(listener);
    if (accepting?.seat) this.#lookForRoom(accepting.seat.listener);
    if (!accepting?.full || !hasRoom(accepting.server)) return;
    accepting.full = false;
    if (!this.#queue.available(listener)) this.#shortage.retryLater();
    this.#openOwn(accepting);
  }

  /** Whether there are full servers still. */
  #lookForRoomEverywhere() {
    for (const [listener, { full }] of this.#accepting) if (full) this.#lookForRoom(listener);
    return [...this.#accepting.values()].some(({ full }) => full);
  }

  /** @param {Accepting} accepting */
  #setFull(accepting) {
    accepting.full = true;
    accepting.own?.pause();
    this.#full.watch();
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {number} left
   * @param {Buffer} [said]
   */
  #onConnection(fd, listener, left, said) {
    if (fd < 0) {
      // Why it is tried again later is of interest only where something can be done about it.
      if (fd === -1) this.#shortage.begin();
      else this.#shortage.retryLater();
      return;
    }
    const accepting = this.#accepting.get(listener);
    if (!accepting?.handle.onconnection || !this.#taking) {
      this.#giveBack(fd, listener, false, left, said);
    } else if (mustGoOn(accepting.server)) {
      this.#setFull(accepting);
      this.#giveBack(fd, listener, true, left, said);
    } else {
      const { handle, kind, server } = accepting;
      const handOver = () => {
        const client = openRaw(kind, fd);
        if (left !== 0 || said) this.proxied?.moved(client, said);
        handle.onconnection(0, client);
      };
      this.#counts.begin(server, TAKEN, left === 0 ? handOver : () => adoptMoved(server, left, handOver));
    }
  }

  /**
   * @param {number} listener
   * @param {number} status
   * @param {any} client
   */
  #onOwnConnection(listener, status, client) {
    const accepting = this.#accepting.get(listener);
    if (accepting && client && mustGoOn(accepting.server) && this.#giveBackOwn(accepting, listener, client, true)) return;
    if (!accepting) return;
    const fd = this.#shortage.isDue() ? (client?.fd ?? UNKNOWN) : UNKNOWN;
    this.#counts.begin(accepting.server, fd, () => accepting.handle.onconnection(status, client));
  }

  /**
   * Gives one back of which there is a raw handle already, and no server has it.
   *
   * @param {Accepting} accepting
   * @param {number} listener
   * @param {any} client
   * @param {boolean} full
   * @returns {boolean} Whether it went.
   */
  #giveBackOwn(accepting, listener, client, full) {
    const copy = load().duplicateFd(client.fd);
    if (copy < 0) return false;
    if (full) this.#setFull(accepting);
    this.#counts.passedOn();
    this.#giveBack(copy, listener, full);
    client.close();
    return true;
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {boolean} full
   * @param {number} [left]
   * @param {Buffer} [said]
   */
  #giveBack(fd, listener, full, left = 0, said = undefined) {
    if (!this.#queue.giveBack(fd, listener, full, left, said)) this.#shortage.retryLater();
  }

  /**
   * Hands one over of which nobody knew when it came, as it had to wait.
   *
   * @param {any} server
   * @param {() => void} handOver
   */
  begin(server, handOver) {
    this.#counts.begin(server, UNKNOWN, handOver);
  }

  /**
   * Whether a connection of a server's that has waited has to go to another worker.
   *
   * @param {any} server
   */
  isFull(server) {
    return mustGoOn(server) && [...this.#accepting.values()].some((one) => one.server === server);
  }

  /**
   * Gives a connection that has waited to other workers.
   *
   * @param {any} server
   * @param {any} client
   * @param {boolean} full
   */
  giveBack(server, client, full) {
    const listener = this.#listenerOf(server, client.fd);
    if (listener !== undefined && this.#giveBackOwn(/** @type {Accepting} */ (this.#accepting.get(listener)), listener, client, full)) return;
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
    return new Set([...this.#shared.all(), ...[...this.#accepting.values()].map(({ server }) => server)]);
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
    for (const { own } of this.#accepting.values()) own?.close();
    this.#shared.stopAll();
  }

  get isTaking() {
    return this.#taking;
  }

  /** Whatever still comes goes back. */
  stopTaking() {
    this.#taking = false;
    this.stopListening();
  }

  /** Nobody comes after this worker: connections of its seat end with it. */
  onSeatClosed() {
    for (const { seat } of this.#accepting.values()) if (seat) seat.isClosed = true;
  }

  /**
   * Whether there may be others who can take a connection of a server.
   *
   * @param {any} server
   * @param {number} fd
   */
  canPassOn(server, fd) {
    for (const { server: other, seat } of this.#accepting.values()) if (other === server) return !seat?.isClosed || !isOfSeat(seat, fd);
    return this.#shared.has(server);
  }

  /**
   * Where a connection of a server's came from: there it goes back, or on to others. One of a seat stays one of that seat.
   *
   * @param {any} server
   * @param {number} fd
   */
  #listenerOf(server, fd) {
    for (const [listener, one] of this.#accepting) if (one.server === server && !(one.seat && isOfSeat(one.seat, fd))) return listener;
    return undefined;
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
    const listener = this.#listenerOf(server, raw.fd);
    if (listener !== undefined) return this.#queue.passOn(raw.fd, listener, left, said);
    return this.#shared.passOn(server, raw.fd, left, said?.toString('latin1'));
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
    this.#shortage.close();
    this.#queue.close();
  }
}

/**
 * @param {any} server
 * @param {number} left
 * @param {() => void} handOver
 */
function adoptMoved(server, left, handOver) {
  // Most workers never need it.
  require('./moved.js').adopt(server, left >>> 0, handOver);
}

/**
 * Whether a connection came to the seat's address, where the next one of the seat gets it.
 *
 * @param {Seat} seat
 * @param {number} fd
 */
function isOfSeat({ port, path }, fd) {
  const name = load().socketName(fd);
  return port === undefined ? name?.path === path : name?.port === port;
}

/** @param {any} server */
const hasConnections = (server) => (connectionsOf(server) ?? 0) > 0;

/** @param {any} server */
function isOpen(server) {
  return Boolean(typeof server.bind === 'function' ? udpHandle(server) : rawOf(server));
}

module.exports = { Servers };
