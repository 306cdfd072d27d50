'use strict';

// An address for each seat, which goes to the worker of that seat alone: for a proxy that sends each of its clients to the same worker.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { getSystemErrorName: systemName } = require('node:util');

const { ours } = require('../errors.js');
const { reasonOf } = require('./reasons.js');

/** In the path of a Unix socket it stands for the number of the seat. */
const SEAT = '{seat}';
const LAST_PORT = 65535;

/**
 * Where seats are reached: the ports from `port` on, or the Unix sockets at `path`; and which server of the app they are for.
 *
 * @typedef {{ path: string, of?: number } | { host?: string, port: number, of?: number }} SeatListen
 */

/** What the option may be. */
const RULE = [
  `'[host:]port+', such as '3001+' or '127.0.0.1:3001+', or the path of a Unix socket with '${SEAT}' in it, such as './app.${SEAT}.sock';`,
  "and, where the app has several servers, ':' and the port of the one that it is for",
].join(' ');

/**
 * @param {unknown} value
 * @returns {Readonly<SeatListen> | undefined} Nothing if it breaks the rule.
 */
function parseSeatListen(value) {
  if (typeof value !== 'string') return undefined;
  const [, where, target] = /** @type {RegExpExecArray} */ (/^([^]*?)(?::(\d+))?$/.exec(value));
  const of = target === undefined ? {} : { of: Number(target) };
  if (target !== undefined && !isPort(Number(target))) return undefined;
  if (where.includes('/')) return where.includes(SEAT) && !where.includes('\0') ? Object.freeze({ path: where, ...of }) : undefined;
  const match = /^(?:(?:\[([\da-f:.]+)\]|([\w.]+)):)?(\d{1,5})\+$/i.exec(where);
  if (!match || !isPort(Number(match[3]))) return undefined;
  const host = match[2] === 'localhost' ? '127.0.0.1' : (match[1] ?? match[2]);
  if (host !== undefined && net.isIP(host) === 0) return undefined;
  return Object.freeze({ ...(host !== undefined && { host }), port: Number(match[3]), ...of });
}

/** @param {number} port */
const isPort = (port) => port >= 1 && port <= LAST_PORT;

/**
 * Whether there is a port for each of so many seats.
 *
 * @param {Readonly<SeatListen>} listen
 * @param {number} count
 */
const hasPortsFor = (listen, count) => 'path' in listen || listen.port + count - 1 <= LAST_PORT;

/**
 * @param {Readonly<SeatListen>} listen
 * @param {number} seat
 */
function placeOf(listen, seat) {
  if ('path' in listen) return { path: path.resolve(listen.path.replaceAll(SEAT, `${seat}`)) };
  return { host: listen.host, port: listen.port + seat };
}

/** The open addresses of the seats of a service. */
class SeatAddresses {
  #port;
  #listen;
  #patience;
  #count = 0;
  #isWarned = false;
  /** Resolves when those that were closed are. */
  #closing = Promise.resolve();

  /**
   * @param {import('../primary/port.js').Port} port
   * @param {Readonly<SeatListen> | undefined} listen None: then there are no addresses.
   * @param {number} patience ms that what has come to a seat which is closed may wait for its worker.
   */
  constructor(port, listen, patience) {
    this.#port = port;
    this.#listen = listen;
    this.#patience = patience;
    if (!listen) return;
    if (!port.accepts()) {
      throw ours('ERR_RCLUSTER_BAD_OPTION', "The \"seatListen\" option must be left out with the policy 'none', with which workers accept by themselves");
    }
    port.setUpSeats({
      of: listen.of,
      onSecond: ({ name, first }) => this.#warn([
        `a worker listens on ${first} and on ${name}, and the addresses of seats are for the first one only:`,
        "say for which port they are, such as '3001+:3000'",
      ].join(' ')),
    });
  }

  /** @param {string} text */
  #warn(text) {
    if (!this.#isWarned) process.emitWarning(text, { code: 'RCLUSTER_SEAT_LISTEN' });
    this.#isWarned = true;
  }

  /**
   * Opens those of so many seats that are not open yet, before any worker is there. Throws if one cannot be opened; then none of them is.
   *
   * @param {number} count
   */
  open(count) {
    const listen = this.#listen;
    if (!listen) return;
    const before = this.#count;
    while (this.#count < count) {
      const place = placeOf(listen, this.#count);
      let errno = this.#port.openSeat(this.#count, place);
      if (errno < 0 && systemName(errno) === 'EADDRINUSE' && place.path !== undefined && removeIfLeft(place.path)) errno = this.#port.openSeat(this.#count, place);
      if (errno < 0) {
        const seat = this.#count;
        void this.close(before);
        throw failure(seat, place, systemName(errno));
      }
      this.#count++;
    }
  }

  /**
   * Closes those of the seats from a number on. What has come is still given to their workers.
   *
   * @param {number} count
   */
  close(count) {
    const seats = Array.from({ length: Math.max(0, this.#count - count) }, (_, index) => count + index);
    if (!this.#listen || seats.length === 0) return this.#closing;
    this.#count = count;
    this.#closing = this.#port.closeSeats(seats, this.#patience);
    return this.#closing;
  }

  /** Resolves when those that were closed are. */
  get closed() {
    return this.#closing;
  }
}

/** Connects, and says by its exit code whether that was refused. */
const PROBE = "require('node:net').connect(process.argv[1]).on('connect', () => process.exit(0)).on('error', ({ code }) => process.exit(code === 'ECONNREFUSED' ? 7 : 1))";

/**
 * Removes a Unix socket that nobody listens on any more, as a primary that was killed leaves it. (Whoever is to answer has no other
 * way to ask at once than by another process; this happens once, if ever.)
 *
 * @param {string} file
 */
function removeIfLeft(file) {
  if (!fs.lstatSync(file, { throwIfNoEntry: false })?.isSocket()) return false;
  const { status } = spawnSync(process.execPath, ['-e', PROBE, file], { env: {}, stdio: 'ignore', timeout: 5000 });
  if (status !== 7) return false;
  fs.rmSync(file, { force: true });
  return true;
}

/**
 * @param {number} seat
 * @param {import('../primary/port.js').SeatPlace} place
 * @param {string} code
 */
function failure(seat, { path: file, host, port }, code) {
  const where = file ?? (host === undefined ? `port ${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`);
  return ours('ERR_RCLUSTER_SEAT_LISTEN', `The address of seat ${seat} cannot be opened, ${where}: ${reasonOf(code) ?? 'it is refused'} (${code})`);
}

module.exports = { RULE, SeatAddresses, hasPortsFor, parseSeatListen };
