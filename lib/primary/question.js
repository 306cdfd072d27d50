'use strict';

// What a worker asks for when it wants to listen, made sense of.

const path = require('node:path');

const { stringify } = JSON;

/** UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY, UV_UDP_REUSEADDR, as in `flags` of a question. */
const IPV6_ONLY = 1;
const UDP_REUSE_ADDRESS = 4;
const UDP_REUSE_PORT = 8;

/** Bytes of a Unix socket's address, with its end. */
const PIPE_NAME_LIMIT = 108;

/** Characters of what a server may say of itself: the key of TLS tickets has 96. It goes with every answer. */
const LONGEST_DATA = 16 * 1024;

/**
 * @typedef {object} Question What a worker wants to listen on, as Node's `net` and `dgram` put it.
 * @property {string | null} address
 * @property {number} port Negative for Unix sockets, whose path is the address.
 * @property {string | number} addressType
 * @property {number | null} fd
 * @property {number} index Which of several servers of the worker on this address it is.
 * @property {number} flags
 * @property {number} backlog
 * @property {boolean} readableAll
 * @property {boolean} writableAll
 * @property {unknown} data
 */

/**
 * What a worker writes may be anything, and what its user gave `listen` is not always what it should be: Node takes
 * `false` and `'7'` for a backlog. Afterwards every member has its type.
 *
 * @param {any} question
 * @returns {Question}
 */
function typed(question) {
  const { address, port, addressType, fd, flags, backlog } = question;
  return {
    ...question,
    address: typeof address === 'string' ? address : null,
    port: portNumber(typeof port === 'string' ? Number(port) | 0 : integer(port)),
    addressType: typeof addressType === 'string' ? addressType : integer(addressType),
    fd: fd == null || integer(fd) < 0 ? null : integer(fd),
    flags: integer(flags),
    backlog: typeof backlog === 'string' ? Number(backlog) | 0 : integer(backlog),
  };
}

/** @param {number} port */
const portNumber = (port) => (port >= 0 && port <= 0xffff ? port : -1);

/** @param {unknown} value */
const integer = (value) => (typeof value === 'number' || typeof value === 'boolean' ? Number(value) | 0 : 0);

/**
 * Whether a server says so much of itself that it is none of ours.
 *
 * @param {Question} question
 */
function isTooMuch({ data }) {
  if (data === null || data === undefined) return false;
  if (typeof data === 'string') return data.length > LONGEST_DATA;
  try {
    return stringify(data).length > LONGEST_DATA;
  } catch {
    return true; // Deeper than the stack.
  }
}

/** @param {Question} question */
function isUdp({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/** @param {Question} question */
function isPipe({ port, fd }) {
  return fd == null && !(port >= 0);
}

/**
 * The address in words.
 *
 * @param {Question} question
 */
function nameOf(question) {
  const { address, port, fd } = question;
  if (fd != null) return `descriptor ${fd}`;
  if (isPipe(question)) return `${address}`.replace('\0', '@');
  const host = address?.includes(':') ? `[${address}]` : (address ?? '*');
  return `${isUdp(question) ? 'udp ' : ''}${host}:${port}`;
}

/**
 * What to bind, in the order of trying, if it is no Unix socket.
 *
 * @param {Question} question
 * @returns {import('../native-types').Binding[]}
 */
function bindings(question) {
  const { address, port, fd, flags, backlog } = question;
  if (fd != null && fd >= 0) return [{ fd, backlog }];
  const binding = {
    port,
    backlog,
    udp: isUdp(question),
    ipv6Only: !!(flags & IPV6_ONLY),
    reuseAddress: isUdp(question) && !!(flags & UDP_REUSE_ADDRESS),
    reusePort: isUdp(question) && !!(flags & UDP_REUSE_PORT),
  };
  if (address) return [{ ...binding, address }];
  if (question.addressType === 'udp4') return [{ ...binding, address: '0.0.0.0' }];
  if (question.addressType === 'udp6') return [{ ...binding, address: '::' }];
  return [{ ...binding, address: '::' }, { ...binding, address: '0.0.0.0' }];
}

/**
 * @param {string | undefined} one
 * @param {string} other
 */
function sameAddress(one, other) {
  return one === other || (one === '::' && other === '0.0.0.0');
}

/**
 * Without the zone that one of a link has.
 *
 * @param {{ address?: string } | null | undefined} name
 */
const addressOnly = (name) => name?.address?.split('%')[0];

/**
 * The name of a Unix socket has to fit in its address.
 *
 * @param {string} file
 */
function shortest(file) {
  if (file.startsWith('\0') || Buffer.byteLength(file) < PIPE_NAME_LIMIT) return file;
  const relative = path.relative(process.cwd(), file);
  return relative.length < file.length ? relative : file;
}

module.exports = { addressOnly, bindings, isPipe, isTooMuch, isUdp, nameOf, sameAddress, shortest, typed };
