'use strict';

// Node's raw handles, which servers and sockets have inside.

const { load } = require('./native.js');

/** @param {string} name */
const lazy = (name) => {
  /** @type {any} */
  let module;
  return () => (module ??= require(name));
};
const net = lazy('node:net');
const dgram = lazy('node:dgram');

/** @type {Map<string, new (type?: number) => any>} */
const constructors = new Map();

/**
 * The class of Node's raw handle for a kind of socket, found by asking Node to wrap one.
 *
 * @param {'tcp' | 'pipe' | 'udp'} kind
 */
function rawHandle(kind) {
  const known = constructors.get(kind);
  if (known) return known;
  const found = kind === 'udp' ? udpHandleClass() : streamHandleClass(kind);
  constructors.set(kind, found);
  return found;
}

/** @param {'tcp' | 'pipe'} kind */
function streamHandleClass(kind) {
  const fd = load().newSocket(kind);
  if (fd < 0) throw require('./errors.js').system(fd, 'socket');
  const socket = new (net().Socket)({ fd });
  const { constructor } = socket._handle;
  socket.on('error', () => {});
  socket.destroy();
  return constructor;
}

function udpHandleClass() {
  const socket = dgram().createSocket('udp4');
  const { constructor } = udpHandle(socket);
  socket.close();
  return constructor;
}

/**
 * The raw handle inside a datagram socket.
 *
 * @param {any} socket
 */
function udpHandle(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  return symbol && socket[symbol].handle;
}

/**
 * A raw handle over a descriptor, which it owns from then on.
 *
 * @param {'tcp' | 'pipe' | 'udp'} kind
 * @param {number} fd
 * @param {boolean} [listening]
 */
function openRaw(kind, fd, listening = false) {
  const handle = new (rawHandle(kind))(listening ? 1 : 0);
  const errno = handle.open(fd);
  if (errno) {
    load().closeFd(fd);
    handle.close();
    throw require('./errors.js').system(errno, 'open');
  }
  return handle;
}

/** @type {boolean | undefined} */
let zeroLimits;

/**
 * Whether `net` takes `maxConnections = 0` for a limit, as it does since Node 21, or for none. Asked when a server has it: a
 * server that is none is given a connection that is none.
 */
function zeroIsLimit() {
  if (zeroLimits !== undefined) return zeroLimits;
  zeroLimits = false;
  const server = /** @type {any} */ (new (net().Server)({ pauseOnConnect: true }));
  server.maxConnections = 0;
  server.on('drop', () => (zeroLimits = true));
  const handle = /** @type {any} */ ({ listen: () => 0, close() {} });
  server._handle = handle;
  server._listen2(null, -1, -1);
  server._handle = null;
  handle.onconnection(0, { close() {}, readStop() {} });
  return zeroLimits;
}

module.exports = { dgram, net, openRaw, rawHandle, udpHandle, zeroIsLimit };
