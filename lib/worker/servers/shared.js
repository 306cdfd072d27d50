'use strict';

// Servers whose listening socket other workers have, too: each accepts for itself.

const { load } = require('../../native.js');
const { LONGEST_SAID } = require('../../control.js');
const { udpHandle } = require('../../node/dgram.js');
const { openRaw } = require('../../node/net.js');

/** Goes with an error: `net` closes what it gets, unseen, when the server has been closed meanwhile. */
const NO_HANDLE = Object.freeze({ close() {} });

/**
 * What the worker is told of them.
 *
 * @typedef {object} Host
 * @property {(key: string) => void} onClose A server has closed, or could not be.
 * @property {(server: any) => void} onShared A server has its socket.
 * @property {(server: any, handOver: () => void) => void} onConnection One has come; `handOver` gives it to the server.
 * @property {(server: any, left: number, handOver: () => void) => void} adopt The same of one that another worker had.
 * @property {(message: object, fd: number) => boolean} tell Sends a message to the primary.
 */

class SharedServers {
  /** By the raw handle. @type {Map<any, { key: string, server: any, stop: () => void }>} */
  #open = new Map();
  #host;

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * The server listens on this socket.
   *
   * @param {any} server
   * @param {string} key The primary's name for it.
   * @param {number} fd
   * @param {import('./places.js').Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  open(server, key, fd, place, callback) {
    const { onClose, onConnection, onShared } = this.#host;
    let handle;
    try {
      const kind = load().socketKind(fd) ?? 'tcp';
      // Another datagram socket, made to find out how Node's handles are made, would be told to who watches sockets come.
      handle = openRaw(kind, fd, true, kind === 'udp' ? udpHandle(server) : undefined);
    } catch (error) {
      place.fail();
      onClose(key);
      callback(/** @type {any} */ (error).errno, NO_HANDLE);
      return;
    }
    const stop = watchClose(handle, () => {
      this.#open.delete(handle);
      onClose(key);
      place.leave();
    });
    this.#open.set(handle, { key, server, stop });
    onShared(server);
    callback(0, handle);
    observeConnections(handle, (handOver) => onConnection(server, handOver));
  }

  /** @returns {any[]} The user's servers. */
  all() {
    return [...this.#open.values()].map(({ server }) => server);
  }

  /** @param {any} server */
  has(server) {
    for (const one of this.#open.values()) if (one.server === server) return true;
    return false;
  }

  /** Nothing new comes. */
  stopAll() {
    for (const { stop } of this.#open.values()) stop();
  }

  /**
   * Gives a connection of a server's to other workers, by the primary. Its descriptor stays open here until the caller closes it.
   *
   * @param {any} server
   * @param {number} fd
   * @param {number} left How long it may stay idle, as of moved.js.
   * @param {string} [said] What a proxy has said of it, one character for each byte. Too long it cannot go along.
   * @returns {boolean} Whether it went.
   */
  passOn(server, fd, left, said) {
    if (said !== undefined && said.length > LONGEST_SAID) return false;
    for (const one of this.#open.values()) if (one.server === server) return this.#host.tell({ act: 'move', key: one.key, left, said }, fd);
    return false;
  }

  /**
   * A connection that another worker had.
   *
   * @param {string} key
   * @param {number} fd
   * @param {number} left
   * @param {(client: any) => void} mark Called with its handle.
   */
  adopt(key, fd, left, mark) {
    for (const [handle, one] of this.#open) {
      if (one.key !== key || !handle.onconnection) continue;
      this.#host.adopt(one.server, left, () => {
        const client = openRaw(load().socketKind(fd) ?? 'tcp', fd);
        mark(client);
        handle.onconnection(0, client);
      });
      return;
    }
    load().closeFd(fd);
  }
}

/**
 * Tells when it is closed.
 *
 * @param {any} raw
 * @param {() => void} onClose Called once.
 * @returns {() => void} Stops it: nothing new comes. It can be closed still.
 */
function watchClose(raw, onClose) {
  const { close } = raw;
  let open = true;
  raw.close = (/** @type {any[]} */ ...args) => {
    if (open) {
      open = false;
      onClose();
    }
    return Reflect.apply(close, raw, args);
  };
  // Replies to datagrams are still to be sent.
  return () => (raw.recvStop ? raw.recvStop() : Reflect.apply(close, raw, []));
}

/**
 * Calls `begin` with what hands each connection over. `net` has said what that is. Not by an accessor: V8 would take all
 * properties of the handle for slow ones.
 *
 * @param {any} raw
 * @param {(handOver: () => void) => void} begin
 */
function observeConnections(raw, begin) {
  const { onconnection } = raw;
  // A datagram socket has none, nor has a server that was closed before it could listen.
  if (!onconnection) return;
  raw.onconnection = (/** @type {any[]} */ ...args) => begin(() => Reflect.apply(onconnection, raw, args));
}

module.exports = { NO_HANDLE, SharedServers };
