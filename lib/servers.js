'use strict';

// The servers of a worker: what stands in for their listening sockets, and how they get their connections.

const { openRaw, udpHandle } = require('./handles.js');
const { load } = require('./native.js');

/** How long (ms) to wait before trying again when descriptors have run out. */
const RETRY_TIME = 100;

/**
 * A server's place among those of this worker on one address.
 *
 * @typedef {{ index: number, taken: () => boolean, leave: () => void }} Place
 */

/**
 * A server that gets connections from the queue.
 *
 * @typedef {object} Accepting
 * @property {string} key The primary's name for it.
 * @property {any} server The user's server.
 * @property {any} handle What stands in for its listening socket.
 * @property {boolean} full Whether the primary thinks that it has as many connections as it may have.
 */

class Servers {
  /** By the listener's id. @type {Map<number, Accepting>} */
  #accepting = new Map();
  /** Servers with a socket that others share, by its raw handle. @type {Map<any, { key: string, server: any }>} */
  #shared = new Map();
  /** Sessions of HTTP/2 servers, which Node keeps no list of. @type {Set<import('node:http2').ServerHttp2Session>} */
  sessions = new Set();
  /** @type {Map<string, { next: number, taken: Set<number> }>} */
  #places = new Map();
  /** How many servers want the process to live. */
  #references = 0;
  #active = 0;
  #taking = true;
  #queue;
  #onClose;
  #tell;

  /**
   * @param {(onConnection: (fd: number, listener: number) => void) => import('./native-types').ConnectionQueue} openQueue
   * @param {(key: string) => void} onClose Called when a server has closed.
   * @param {(message: object, fd: number) => boolean} tell Sends a message to the primary.
   */
  constructor(openQueue, onClose, tell) {
    this.#queue = openQueue((fd, listener) => this.#onConnection(fd, listener));
    this.#onClose = onClose;
    this.#tell = tell;
  }

  /**
   * @param {string} address
   * @returns {Place}
   */
  nextPlace(address) {
    let places = this.#places.get(address);
    if (!places) this.#places.set(address, (places = { next: 0, taken: new Set() }));
    const { taken } = places;
    const index = places.next++;
    taken.add(index);
    return {
      index,
      taken: () => this.#places.get(address)?.taken.has(index) === true,
      leave: () => {
        taken.delete(index);
        if (taken.size === 0 && this.#places.get(address)?.taken === taken) this.#places.delete(address);
      },
    };
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
      place.leave();
      this.#onClose(key);
      callback(/** @type {any} */ (error).errno, null);
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
    this.#shared.set(handle, { key, server });
    this.#watchSessions(server);
    callback(0, handle);
  }

  /**
   * The server gets its connections from the queue.
   *
   * @param {any} server
   * @param {{ key: string, listener: number, sockname: object | null }} reply
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  accept(server, { key, listener, sockname }, place, callback) {
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
    this.#watchSessions(server);
    this.#watchCount(server, listener);
    callback(0, handle);
  }

  /** @param {number} change */
  #countReference(change) {
    this.#references += change;
    this.#queue.setRef(this.#references > 0);
  }

  /**
   * Keeps count of the connections that a server has, which `net` keeps as a property of it: the board shows their
   * sum, and the primary is told when a server that was full has room again.
   *
   * @param {any} server
   * @param {number} listener
   */
  #watchCount(server, listener) {
    let count = server._connections;
    this.#countActive(count);
    Object.defineProperty(server, '_connections', {
      configurable: true,
      enumerable: true,
      get: () => count,
      set: (value) => {
        this.#countActive(value - count);
        count = value;
        const accepting = this.#accepting.get(listener);
        if (accepting?.full && hasRoom(server)) {
          accepting.full = false;
          this.#queue.available(listener);
        }
      },
    });
  }

  /** @param {number} change */
  #countActive(change) {
    this.#active += change;
    this.#queue.setActive(Math.max(0, this.#active));
  }

  /**
   * @param {number} fd
   * @param {number} listener
   */
  #onConnection(fd, listener) {
    if (fd < 0) {
      setTimeout(() => this.#queue.resume(), RETRY_TIME).unref();
      return;
    }
    const accepting = this.#accepting.get(listener);
    if (!accepting?.handle.onconnection || !this.#taking) {
      this.#queue.giveBack(fd, listener, false);
    } else if (!hasRoom(accepting.server) && !accepting.server.dropMaxConnection) {
      accepting.full = true;
      this.#queue.giveBack(fd, listener, true);
    } else {
      accepting.handle.onconnection(0, openRaw(accepting.handle.getsockname ? 'tcp' : 'pipe', fd));
    }
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

  /** @param {any} server */
  has(server) {
    return [...this.#accepting.values()].some((one) => one.server === server);
  }

  /** Whatever still comes goes back. */
  stopTaking() {
    this.#taking = false;
  }

  /**
   * Gives a connection of a server's to other workers. Its descriptor stays open here until the caller closes it.
   *
   * @param {any} server
   * @param {number} fd
   * @returns {boolean} Whether it went.
   */
  passOn(server, fd) {
    for (const [listener, one] of this.#accepting) if (one.server === server) return this.#queue.passOn(fd, listener);
    for (const one of this.#shared.values()) if (one.server === server) return this.#tell({ act: 'move', key: one.key }, fd);
    return false;
  }

  /**
   * A connection that another worker had, for a server with a shared socket.
   *
   * @param {string} key
   * @param {number} fd
   */
  adopt(key, fd) {
    for (const [handle, one] of this.#shared) {
      if (one.key === key && handle.onconnection) return handle.onconnection(0, openRaw(load().socketKind(fd) ?? 'tcp', fd));
    }
    return load().closeFd(fd);
  }

  /** @param {any} server */
  #watchSessions(server) {
    // Only HTTP/2 servers have settings to update.
    if (typeof server.updateSettings !== 'function') return;
    server.on('session', (/** @type {any} */ session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
  }

  /** No connection comes any more. */
  close() {
    this.#queue.close();
  }
}

/** @param {any} server */
function hasRoom(server) {
  return !(server.maxConnections && server._connections >= server.maxConnections);
}

/** @param {any} server */
function isOpen(server) {
  return Boolean(server._handle ?? udpHandle(server));
}

module.exports = { Servers };
