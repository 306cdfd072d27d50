'use strict';

// Servers with as many connections as they may have.

const { connectionsOf, zeroIsLimit } = require('../../node/net.js');

/** The limit may be raised, of which nobody tells: how often (ms) to look. */
const LOOK = 100;

/**
 * Whether `net` would take one more, whatever has been given for a limit.
 *
 * @param {any} server
 */
function hasRoom(server) {
  const { maxConnections } = server;
  if (maxConnections == null || !(/** @type {number} */ (connectionsOf(server)) >= maxConnections)) return true;
  return !maxConnections && !zeroIsLimit();
}

/**
 * Whether a connection that comes now belongs to another worker's server.
 *
 * @param {any} server
 */
function mustGoOn(server) {
  return !hasRoom(server) && !server.dropMaxConnection;
}

/** Looks after servers that were full, while there are any. */
class FullServers {
  #look;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {() => boolean} look At all that are full. Returns whether some are still. */
  constructor(look) {
    this.#look = look;
  }

  watch() {
    this.#timer ??= setInterval(() => this.#lookAround(), LOOK).unref();
  }

  #lookAround() {
    if (this.#look()) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

module.exports = { FullServers, hasRoom, mustGoOn };
