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
 * @property {any} server The user's server.
 * @property {any} handle What stands in for its listening socket.
 * @property {boolean} full Whether the primary thinks that it has as many connections as it may have.
 */

class Servers {
  /** By the listener's id. @type {Map<number, Accepting>} */
  #accepting = new Map();
  /** Shared sockets. @type {Map<any, any>} Raw handle to the user's server. */
  #shared = new Map();
  /** @type {Map<string, { next: number, taken: Set<number> }>} */
  #places = new Map();
  /** How many servers want the process to live. */
  #references = 0;
  #active = 0;
  #queue;
  #onClose;

  /**
   * @param {(onConnection: (fd: number, listener: number) => void) => import('./native-types').ConnectionQueue} openQueue
   * @param {(key: string) => void} onClose Called when a server has closed.
   */
  constructor(openQueue, onClose) {
    this.#queue = openQueue((fd, listener) => this.#onConnection(fd, listener));
    this.#onClose = onClose;
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
    this.#shared.set(handle, server);
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
    this.#accepting.set(listener, { server, handle, full: false });
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
    if (!accepting?.handle.onconnection) {
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
    const servers = new Set([...this.#shared.values(), ...[...this.#accepting.values()].map(({ server }) => server)]);
    for (const server of servers) {
      waiting++;
      if (isOpen(server)) server.close(finished);
      else finished();
    }
    finished();
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
