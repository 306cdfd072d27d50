'use strict';

// Listening sockets that somebody keeps for us: those that whoever started us has opened, and those that we have given to a service
// manager, so that the primary after this one finds them, and what waits in them, whatever this one dies of (FDSTORE in sd_notify(3)).

const fs = require('node:fs');
const path = require('node:path');

const { socketIdentity, removeSocket } = require('../socket_file.js');
const { isPipe, isUdp, sameAddress } = require('./question.js');

/** Names of sockets that a primary has given away begin with it. */
const OURS = 'rcluster';
/** Characters of a name (sd_pid_notify_with_fds(3)); none of them may be a colon. */
const LONGEST_NAME = 255;
/** Of which so many are for what comes before and behind an address. */
const REST = 100;

/** @typedef {import('./question.js').Question} Question */

/**
 * @typedef {object} Store A service manager that keeps descriptors.
 * @property {(name: string, fd: number, poll: boolean) => void} keep `poll`: whether it forgets the socket when it has been shut down.
 * @property {(name: string) => void} remove
 */

/** @typedef {{ name: string, fd: number }} Guard A socket that the manager has, too, and our descriptor for it. */

/**
 * @typedef {object} Found What there is for a question.
 * @property {number} fd
 * @property {Guard[]} guards None of one that we had not given away ourselves. Of an address that the kernel distributes, several.
 * @property {() => void} [removeFile]
 */

/**
 * @typedef {object} Given
 * @property {number} fd
 * @property {string} name As in LISTEN_FDNAMES.
 * @property {string} [key] Of one that a primary has given away: what it was asked for.
 * @property {string} [identity] Of the file of its Unix socket, or which of several sockets it is.
 * @property {'tcp' | 'pipe' | 'udp' | null} kind
 * @property {import('../native-types').SocketName} address
 */

/** @param {unknown} text */
const escaped = (text) => encodeURIComponent(Buffer.from(`${text}`).toString()).replaceAll('%', '=');

/**
 * What names the socket for what a worker asks for: nothing in it but what a name may have, and nothing that another question has.
 *
 * @param {Question} question
 * @param {boolean} distributed Whether there are several, and the kernel distributes.
 */
function keyOf(question, distributed) {
  const { address, port, addressType, flags, index } = question;
  const family = isPipe(question) ? 'unix' : isUdp(question) ? addressType : `tcp${addressType}`;
  let where = address === null ? '*' : escaped(address);
  if (where.length > LONGEST_NAME - REST) where = require('node:crypto').createHash('sha256').update(where).digest('hex');
  // Whoever asks for a UDP address anew gets what there is: it cannot be bound twice.
  const how = `${isUdp(question) ? 0 : flags}${distributed ? 'r' : ''}`;
  return [OURS, escaped(family).slice(0, 16), where, port, how, index].join(',');
}

/** All that was given to us, and all that we give away. */
class Guarded {
  /** @type {Given[]} */
  #given = [];
  /** Whether a primary before us still serves from what we have: it is not ours to end. */
  isBorrowed = false;
  /** @type {Store | undefined} */
  #store;
  #native;

  /** @param {() => Pick<import('../native-types').Native, 'closeFd' | 'isListening' | 'retireSocket' | 'socketKind' | 'socketName'>} native */
  constructor(native) {
    this.#native = native;
  }

  /**
   * @param {{ fd: number, name: string }[]} sockets
   * @param {Store} [store]
   */
  use(sockets, store) {
    this.#store = store;
    this.#given = sockets.flatMap(({ fd, name }) => {
      const [address, kind] = [this.#native().socketName(fd), this.#native().socketKind(fd)];
      if (!address) return [];
      const fields = name.split(',');
      if (fields[0] !== OURS || fields.length !== 7) return [{ fd, name, address, kind }];
      return [{ fd, name, address, kind, key: fields.slice(0, -1).join(','), identity: fields[6] }];
    });
  }

  /**
   * The socket that there is for what a worker asks for. One that we had given away is ours again.
   *
   * @param {Question} question
   * @param {boolean} distributed
   * @returns {Found | undefined}
   */
  for(question, distributed) {
    const kind = isPipe(question) ? 'pipe' : isUdp(question) ? 'udp' : 'tcp';
    const key = keyOf(question, distributed);
    const guards = this.#given.filter((one) => one.key === key && one.kind === kind);
    this.#given = this.#given.filter((one) => !guards.includes(one));
    const file = fileOf(question);
    // Nobody can reach one whose file has been removed, or is another's.
    const lost = guards.filter(({ identity }) => file !== undefined && socketIdentity(file) !== identity);
    for (const guard of lost) this.release(guard);
    const found = guards.filter((guard) => !lost.includes(guard));
    if (found.length > 0) return { fd: found[0].fd, guards: found, removeFile: file === undefined ? undefined : removeSocket(file) };
    const given = this.#given.find((one) => one.key === undefined && one.kind === kind && isAt(one.address, question));
    return given && { fd: given.fd, guards: [] };
  }

  /**
   * Gives a socket that was bound to the manager, unless it has it.
   *
   * @param {Question} question
   * @param {boolean} distributed
   * @param {Guard[]} guards Those of the same address.
   * @param {() => number} copy Another descriptor for it, or a negative number.
   */
  guard(question, distributed, guards, copy) {
    if (!this.#store) return;
    const fd = copy();
    if (fd < 0) return;
    const name = this.nameOf(question, distributed, fd);
    if (guards.some((one) => one.name === name)) {
      this.#native().closeFd(fd);
      return;
    }
    // One that does not listen yet would be taken for one that has been shut down, and so would a UDP socket with an error to be read.
    this.#store.keep(name, fd, this.#native().isListening(fd));
    guards.push({ name, fd });
  }

  /**
   * The name of a socket, for a primary that comes next.
   *
   * @param {Question} question
   * @param {boolean} distributed
   * @param {number} fd
   */
  nameOf(question, distributed, fd) {
    const file = fileOf(question);
    const identity = distributed ? fs.fstatSync(fd).ino : file === undefined ? '' : socketIdentity(file);
    return `${keyOf(question, distributed)},${identity}`;
  }

  /** Those that whoever started us has opened and nobody has asked for. */
  get unclaimed() {
    return this.#given.filter(({ key }) => key === undefined);
  }

  /**
   * Forgets those that have been closed with the worker that had them. The manager has seen that as well.
   *
   * @param {Guard[]} guards
   * @returns {Guard[]} The others.
   */
  living(guards) {
    const dead = guards.filter(({ fd }) => !this.#native().isListening(fd));
    for (const guard of dead) this.release(guard);
    return guards.filter((guard) => !dead.includes(guard));
  }

  /**
   * Nobody listens there any more. Others have the socket as well: it stops listening for all of them.
   *
   * @param {Guard} guard
   */
  release({ name, fd }) {
    if (this.isBorrowed) {
      this.#native().closeFd(fd);
      return;
    }
    this.#store?.remove(name);
    this.#native().retireSocket(fd);
  }

  /**
   * Closes those of sockets that were ours which are in the way of a port. Returns whether there was one.
   *
   * @param {Question} question
   */
  clearTheWay(question) {
    const { port } = question;
    if (this.isBorrowed) return false;
    return this.#releaseAll(({ key, kind, address }) =>
      key !== undefined && port > 0 && address.port === port && (kind === 'udp') === isUdp(question));
  }

  /** Closes what a primary before us had and nobody has asked for. */
  closeUnclaimed() {
    return this.#releaseAll(({ key }) => key !== undefined);
  }

  /** @param {(given: Given) => boolean} which */
  #releaseAll(which) {
    const chosen = this.#given.filter(which);
    this.#given = this.#given.filter((one) => !chosen.includes(one));
    for (const { name, fd, address, identity } of chosen) {
      if (address.path?.startsWith('/') && socketIdentity(address.path) === identity) removeSocket(address.path)();
      this.release({ name, fd });
    }
    return chosen.length > 0;
  }
}

/**
 * The file of a Unix socket; an abstract one has none.
 *
 * @param {Question} question
 */
function fileOf(question) {
  return isPipe(question) && question.address && !question.address.startsWith('\0') ? question.address : undefined;
}

/**
 * @param {import('../native-types').SocketName} name
 * @param {Question} question
 */
function isAt(name, { address, port }) {
  if (port >= 0) return name.port === port && port > 0 && (!address || sameAddress(name.address, address));
  return name.path !== undefined && path.resolve(name.path) === address;
}

module.exports = { Guarded, keyOf };
