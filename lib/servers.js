'use strict';

// The servers of a worker: what stands in for their listening sockets, and how they get their connections.

const contexts = require('./contexts.js');
const { counts, openRaw, udpHandle, zeroIsLimit } = require('./raw_handles.js');
const { load } = require('./native.js');

/** How long (ms) to wait before trying again when descriptors have run out. */
const RETRY_TIME = 100;
/** Or until so many connections have ended: as many as come in one packet of the queue. */
const ENOUGH_ENDED = 16;

/** Warnings within this time (ms) are one episode. */
const EPISODE = 60_000;

/** Goes with an error: `net` closes what it gets, unseen, when the server has been closed meanwhile. */
const NO_HANDLE = Object.freeze({ close() {} });

/** Instead of the descriptor of a connection: it came out of the queue, or nobody needs to know. */
const TAKEN = -2;
const UNKNOWN = -1;

/** Where the board's counts are. */
const OPENED = 0;
const ENDED = 1;

/** @param {any} server */
const isHttp2 = (server) => typeof server.updateSettings === 'function';

/**
 * A server's place among those of this worker on one address.
 *
 * @typedef {object} Place
 * @property {number} index
 * @property {() => boolean} isKnown Whether a server has listened there and not closed, or has failed to.
 * @property {() => void} leave
 * @property {() => void} fail It could not listen.
 */

/**
 * A server that gets connections from the queue.
 *
 * @typedef {object} Accepting
 * @property {string} key The primary's name for it.
 * @property {any} server The user's server.
 * @property {any} handle What stands in for its listening socket.
 * @property {boolean} full Whether the primary thinks that it has as many connections as it may have.
 * @property {import('./own_socket.js').OwnSocket} [own] Where it gets connections without the primary.
 */

class Servers {
  /** By the listener's id. @type {Map<number, Accepting>} */
  #accepting = new Map();
  /** Servers with a socket that others share, by its raw handle. @type {Map<any, { key: string, server: any, stop: () => void }>} */
  #shared = new Map();
  /** Sessions of HTTP/2 servers, which Node keeps no list of, with their open streams. @type {Map<any, number>} */
  sessions = new Map();
  /** @type {Map<string, { next: number, taken: Set<number>, failed: boolean }>} */
  #places = new Map();
  #context = new contexts.Context();
  /** How many servers want the process to live. */
  #references = 0;
  #taking = true;
  /** @type {NodeJS.Timeout | undefined} */
  #retry;
  /** While a server is full. @type {NodeJS.Timeout | undefined} */
  #fullTimer;
  #shortageAt = -Infinity;
  /** Connections that have ended since descriptors ran out; `undefined` while they have not. @type {number | undefined} */
  #endedInShortage;
  /** With which connection from now on that sockets of its own bring it is to look for room in the descriptor table. */
  #nextLook = 1;
  /** Servers that have listened and not ended yet. @type {Set<any>} */
  #known = new Set();
  #queue;
  /** On the board: connections that began without the queue, and connections that are over. */
  #counts;
  #onClose;
  #tell;

  /**
   * @param {(onConnection: (fd: number, listener: number, left: number) => void) => import('./native-types').ConnectionQueue} openQueue
   * @param {(key: string) => void} onClose Called when a server has closed.
   * @param {(message: object, fd: number) => boolean} tell Sends a message to the primary.
   */
  constructor(openQueue, onClose, tell) {
    this.#queue = openQueue((fd, listener, left) => this.#onConnection(fd, listener, left));
    this.#counts = this.#queue.counts;
    this.#onClose = onClose;
    this.#tell = tell;
  }

  /**
   * @param {string} address
   * @returns {Place}
   */
  nextPlace(address) {
    let places = this.#places.get(address);
    if (!places) this.#places.set(address, (places = { next: 0, taken: new Set(), failed: false }));
    const { taken } = places;
    if (taken.size === 0) places.next = 0;
    const index = places.next++;
    taken.add(index);
    const leave = () => {
      taken.delete(index);
      if (taken.size === 0 && !places.failed) this.#places.delete(address);
    };
    const fail = () => {
      places.failed = true;
      leave();
    };
    return { index, leave, fail, isKnown: () => this.#places.has(address) };
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
    let handle;
    try {
      handle = openRaw(load().socketKind(fd) ?? 'tcp', fd, true);
    } catch (error) {
      place.fail();
      this.#onClose(key);
      callback(/** @type {any} */ (error).errno, NO_HANDLE);
      return;
    }
    const { close } = handle;
    handle.close = (/** @type {any[]} */ ...args) => {
      if (this.#shared.delete(handle)) {
        this.#onClose(key);
        place.leave();
      }
      return Reflect.apply(close, handle, args);
    };
    // Replies to datagrams are still to be sent.
    const stop = () => (handle.recvStop ? handle.recvStop() : Reflect.apply(close, handle, []));
    this.#shared.set(handle, { key, server, stop });
    this.#known.add(server);
    server.once('close', () => this.#known.delete(server));
    this.#watchSessions(server);
    this.#watchCount(server);
    callback(0, handle);
    this.#observeConnections(handle, server);
  }

  /**
   * `net` has said what is to be called for each connection. Not by an accessor: V8 would take all properties of the handle for
   * slow ones.
   *
   * @param {any} handle
   * @param {any} server
   */
  #observeConnections(handle, server) {
    const { onconnection } = handle;
    // A datagram socket has none, nor has a server that was closed before it could listen.
    if (!onconnection) return;
    handle.onconnection = (/** @type {any[]} */ ...args) => {
      this.#begin(server, UNKNOWN, () => Reflect.apply(onconnection, handle, args));
    };
  }

  /**
   * The server gets its connections from the queue and, if there is one, from a socket of its own.
   *
   * @param {any} server
   * @param {{ key: string, listener: number, sockname: object | null, backlog: number }} reply
   * @param {number} fd The socket of its own, or -1.
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  accept(server, { key, listener, sockname, backlog }, fd, place, callback) {
    let open = true;
    let referenced = false;
    const setReferenced = (/** @type {boolean} */ wanted) => {
      if (wanted === referenced || !open) return;
      referenced = wanted;
      this.#countReference(wanted ? 1 : -1);
    };
    /** @type {any} */
    const handle = {
      listen: () => 0,
      ref: () => setReferenced(true),
      unref: () => setReferenced(false),
      hasRef: () => referenced,
      close: (/** @type {unknown} */ done) => {
        if (open) {
          setReferenced(false);
          open = false;
          this.#accepting.get(listener)?.own?.close();
          this.#accepting.delete(listener);
          this.#onClose(key);
          place.leave();
        }
        if (typeof done === 'function') process.nextTick(done);
      },
    };
    // Unix sockets have none.
    if (sockname) {
      handle.getsockname = (/** @type {object} */ out) => {
        if (open) Object.assign(out, sockname);
        return 0;
      };
    }
    handle.ref();
    this.#accepting.set(listener, { key, server, handle, full: false });
    this.#known.add(server);
    server.once('close', () => this.#known.delete(server));
    this.#watchSessions(server);
    this.#watchCount(server, listener);
    callback(0, handle);
    // Only now it is ready for a connection, unless it has been closed.
    if (open) this.#tell({ act: 'accepting', key }, -1);
    if (fd >= 0) this.own(listener, fd, backlog);
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

  /**
   * Follows the connections that a server has, which `net` counts in a property of it, without touching that property: with
   * an accessor in its place V8 takes all properties of the server for slow ones, at a sixth of what a request costs. `net`
   * calls a method whenever one has ended; where one begins we are.
   *
   * @param {any} server
   * @param {number} [listener]
   */
  #watchCount(server, listener) {
    if (typeof server._connections !== 'number') return; // UDP
    const known = counts.get(server);
    if (known) {
      known.listener = listener;
      return;
    }
    const count = { seen: server._connections, listener, coming: undefined, observe: () => this.#observe(server) };
    counts.set(server, count);
    const { _emitCloseIfDrained: emitCloseIfDrained } = server;
    Object.defineProperty(server, '_emitCloseIfDrained', {
      configurable: true,
      writable: true,
      value(/** @type {any[]} */ ...args) {
        count.observe();
        return Reflect.apply(emitCloseIfDrained, this, args);
      },
    });
  }

  /**
   * Hands a connection to its server, which counts it first of all, unless it refuses it.
   *
   * @param {any} server
   * @param {number} fd Of a connection that came from a socket of its own; else one of TAKEN and UNKNOWN.
   * @param {() => void} handOver
   */
  #begin(server, fd, handOver) {
    const count = counts.get(server);
    if (count) count.coming = fd;
    try {
      if (contexts.entered) this.#context.run(handOver);
      else handOver();
    } finally {
      if (count?.coming !== undefined && server._connections === count.seen) {
        count.coming = undefined;
        if (fd === TAKEN) this.#counts[ENDED]++;
      }
      this.#observe(server);
    }
  }

  /**
   * Puts on the board what has begun and what is over; the primary is told when a server that was full has room again.
   *
   * @param {any} server
   */
  #observe(server) {
    const count = counts.get(server);
    if (!count) return;
    const { coming } = count;
    if (coming !== undefined) {
      count.coming = undefined;
      count.seen++;
      // Those from the queue have been counted as taken.
      if (coming !== TAKEN) this.#counts[OPENED]++;
      if (coming >= 0) this.#lookForDescriptors(coming);
    }
    if (server._connections > count.seen) this.#counts[OPENED] += server._connections - count.seen;
    else if (server._connections < count.seen) this.#countEnded(count.seen - server._connections);
    count.seen = server._connections;
    if (count.listener !== undefined) this.#lookForRoom(count.listener);
  }

  /**
   * What has no descriptor libuv closes.
   *
   * @param {number} fd Of the last connection.
   */
  #lookForDescriptors(fd) {
    this.#nextLook = this.#queue.accepted(fd);
    if (this.#nextLook === 0) this.#onShortage();
  }

  /** @param {number} number */
  #countEnded(number) {
    this.#counts[ENDED] += number;
    if (this.#endedInShortage === undefined) return;
    this.#endedInShortage += number;
    if (this.#endedInShortage >= ENOUGH_ENDED) this.#tryAgain();
  }

  /** @param {number} listener */
  #lookForRoom(listener) {
    const accepting = this.#accepting.get(listener);
    if (accepting?.full && hasRoom(accepting.server)) this.#makeAvailable(accepting, listener);
  }

  /**
   * @param {Accepting} accepting
   * @param {number} listener
   */
  #makeAvailable(accepting, listener) {
    accepting.full = false;
    if (!this.#queue.available(listener)) this.#retryLater();
    this.#openOwn(accepting);
  }

  /** @param {Accepting} accepting */
  #openOwn(accepting) {
    if (accepting.own && !accepting.full && this.#taking && accepting.own.open() < 0) this.#retryLater();
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {number} left
   */
  #onConnection(fd, listener, left) {
    if (fd < 0) {
      // Why it is tried again later is of interest only where something can be done about it.
      if (fd === -1) this.#onShortage();
      else this.#retryLater();
      return;
    }
    const accepting = this.#accepting.get(listener);
    if (!accepting?.handle.onconnection || !this.#taking) {
      this.#giveBack(fd, listener, false, left);
    } else if (mustGoOn(accepting.server)) {
      this.#setFull(accepting);
      this.#giveBack(fd, listener, true, left);
    } else {
      const { handle, server } = accepting;
      const handOver = () => handle.onconnection(0, openRaw(handle.getsockname ? 'tcp' : 'pipe', fd));
      this.#begin(server, TAKEN, left === 0 ? handOver : () => adoptMoved(server, left, handOver));
    }
  }

  /**
   * @param {number} listener
   * @param {number} status
   * @param {any} client
   */
  #onOwnConnection(listener, status, client) {
    const accepting = this.#accepting.get(listener);
    if (accepting && client && mustGoOn(accepting.server)) {
      const copy = load().duplicateFd(client.fd);
      if (copy >= 0) {
        this.#setFull(accepting);
        this.#counts[OPENED]++;
        this.#giveBack(copy, listener, true);
        client.close();
        return;
      }
    }
    if (!accepting) return;
    const fd = --this.#nextLook <= 0 ? (client?.fd ?? UNKNOWN) : UNKNOWN;
    this.#begin(accepting.server, fd, () => accepting.handle.onconnection(status, client));
  }

  /** @param {Accepting} accepting */
  #setFull(accepting) {
    accepting.full = true;
    accepting.own?.pause();
    // The limit may be raised, of which nobody tells.
    this.#fullTimer ??= setInterval(() => this.#lookForRoomEverywhere(), RETRY_TIME).unref();
  }

  #lookForRoomEverywhere() {
    for (const [listener, { full }] of this.#accepting) if (full) this.#lookForRoom(listener);
    if ([...this.#accepting.values()].some(({ full }) => full)) return;
    clearInterval(this.#fullTimer);
    this.#fullTimer = undefined;
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {boolean} full
   * @param {number} [left]
   */
  #giveBack(fd, listener, full, left = 0) {
    if (!this.#queue.giveBack(fd, listener, full, left)) this.#retryLater();
  }

  /** Descriptors have run out: nothing is taken until there are some. */
  #onShortage() {
    const now = performance.now();
    if (now - this.#shortageAt > EPISODE) {
      const text = 'this worker has run out of file descriptors: new connections wait until some are closed, or go to others';
      process.emitWarning(text, { code: 'RCLUSTER_DESCRIPTORS' });
    }
    this.#shortageAt = now;
    this.#endedInShortage = 0;
    for (const { own } of this.#accepting.values()) own?.pause();
    this.#retryLater();
  }

  #retryLater() {
    this.#retry ??= setTimeout(() => this.#tryAgain(), RETRY_TIME);
  }

  /** Takes connections again, and sends what could not be sent, if there are descriptors for it now. */
  #tryAgain() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#queue.resume()) {
      this.#endedInShortage = undefined;
      for (const accepting of this.#accepting.values()) this.#openOwn(accepting);
    } else {
      if (this.#endedInShortage !== undefined) this.#endedInShortage = 0;
      this.#retryLater();
    }
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
    const http = [...this.all()].filter((server) => server._connections > 0 && typeof server.closeIdleConnections === 'function');
    if (http.length === 0) return false;
    // @ts-expect-error: not in the types.
    const handles = /** @type {any[]} */ (process._getActiveHandles());
    return handles.some((handle) => handle.bytesRead === 0 && http.includes(handle.server));
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
    return new Set([...this.#shared.values(), ...this.#accepting.values()].map(({ server }) => server));
  }

  /** @returns {any[]} Servers that have closed by themselves and still have connections. */
  closing() {
    return [...this.#known].filter((server) => server._connections > 0 && !this.has(server));
  }

  /** @param {any} server */
  has(server) {
    return this.all().has(server);
  }

  /** Nothing new comes. What the primary has accepted already is still taken. */
  stopListening() {
    for (const { own } of this.#accepting.values()) own?.close();
    for (const { stop } of this.#shared.values()) stop();
  }

  get isTaking() {
    return this.#taking;
  }

  /** Whatever still comes goes back. */
  stopTaking() {
    this.#taking = false;
    this.stopListening();
  }

  /**
   * Whether there may be others who can take connections of a server.
   *
   * @param {any} server
   */
  canPassOn(server) {
    for (const one of this.#accepting.values()) if (one.server === server) return true;
    for (const one of this.#shared.values()) if (one.server === server) return true;
    return false;
  }

  /**
   * Gives a connection of a server's to other workers. Its descriptor stays open here until the caller closes it.
   *
   * @param {any} server
   * @param {number} fd
   * @param {number} left How long it may stay idle, as of moved.js.
   * @returns {boolean} Whether it went.
   */
  passOn(server, fd, left) {
    for (const [listener, one] of this.#accepting) if (one.server === server) return this.#queue.passOn(fd, listener, left);
    for (const one of this.#shared.values()) if (one.server === server) return this.#tell({ act: 'move', key: one.key, left }, fd);
    return false;
  }

  /**
   * A connection that another worker had, for a server with a shared socket.
   *
   * @param {string} key
   * @param {number} fd
   * @param {number} left
   */
  adopt(key, fd, left) {
    for (const [handle, one] of this.#shared) {
      if (one.key !== key || !handle.onconnection) continue;
      return adoptMoved(one.server, left, () => handle.onconnection(0, openRaw(load().socketKind(fd) ?? 'tcp', fd)));
    }
    return load().closeFd(fd);
  }

  /** @param {any} server */
  #watchSessions(server) {
    if (!isHttp2(server)) return;
    server.on('session', (/** @type {any} */ session) => {
      const { sessions } = this;
      const count = (/** @type {number} */ change) => {
        const streams = sessions.get(session);
        if (streams !== undefined) sessions.set(session, streams + change);
      };
      sessions.set(session, 0);
      session.once('close', () => sessions.delete(session));
      session.on('stream', (/** @type {any} */ stream) => {
        count(1);
        stream.once('close', () => count(-1));
      });
    });
  }

  /** No connection comes any more. */
  close() {
    clearTimeout(this.#retry);
    this.#endedInShortage = undefined;
    this.#queue.close();
  }
}

/**
 * Whether `net` would take one more, whatever has been given for a limit.
 *
 * @param {any} server
 */
function hasRoom({ maxConnections, _connections: count }) {
  if (maxConnections == null || !(count >= maxConnections)) return true;
  return !maxConnections && !zeroIsLimit();
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
 * Whether a connection that comes now belongs to another worker's server.
 *
 * @param {any} server
 */
function mustGoOn(server) {
  return !hasRoom(server) && !server.dropMaxConnection;
}

/** @param {any} server */
function isOpen(server) {
  // Asking a datagram socket for `_handle` would warn the user.
  return Boolean(typeof server.bind === 'function' ? udpHandle(server) : server._handle);
}

module.exports = { NO_HANDLE, isHttp2, Servers };
