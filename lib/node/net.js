'use strict';

// Private members of Node's `net`: the raw handles that servers and sockets have inside, and what a server knows of its connections.
// What differs between versions is found by looking at objects, never by asking for a version.

const { load } = require('../native.js');
const { udpHandle } = require('./dgram.js');

/** @param {string} name */
const lazy = (name) => {
  /** @type {any} */
  let module;
  return () => (module ??= require(name));
};
const net = lazy('node:net');
const dgram = lazy('node:dgram');

/** How Node calls them. A lie about a socket must not decide what all others become. */
const CLASSES = { tcp: 'TCP', pipe: 'Pipe' };

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
  if (fd < 0) throw require('../errors.js').system(fd, 'socket');
  const socket = new (net().Socket)({ fd });
  const { constructor } = socket._handle;
  socket.on('error', () => {});
  socket.destroy();
  return constructor;
}

function udpHandleClass() {
  const socket = new (dgram().Socket)('udp4');
  const { constructor } = udpHandle(socket);
  socket.close();
  return constructor;
}

/**
 * A raw handle over a descriptor, which it owns from then on.
 *
 * @param {'tcp' | 'pipe' | 'udp'} kind
 * @param {number} fd
 * @param {boolean} [listening]
 * @param {any} [like] One of this kind.
 */
function openRaw(kind, fd, listening = false, like = undefined) {
  if (!listening && kind !== 'udp' && !constructors.has(kind)) {
    const first = openFirst(kind, fd);
    if (first) return first;
  }
  const handle = new (like?.constructor ?? rawHandle(kind))(listening ? 1 : 0);
  // A system call may fail once, and a connection should not be lost for that.
  const errno = handle.open(fd) && handle.open(fd);
  if (errno) {
    load().closeFd(fd);
    handle.close();
    throw require('../errors.js').system(errno, 'open');
  }
  return handle;
}

/**
 * The first connection shows the class: another socket for that may not be had any more where descriptors are short.
 *
 * @param {'tcp' | 'pipe'} kind
 * @param {number} fd
 * @returns {any} `undefined` when Node does not make a handle of it; it still has no owner then
 */
function openFirst(kind, fd) {
  let socket;
  try {
    socket = new (net().Socket)({ fd, manualStart: true });
  } catch {
    return undefined;
  }
  const raw = takeRaw(socket);
  socket.destroy();
  if (raw.constructor.name === CLASSES[kind]) constructors.set(kind, raw.constructor);
  return raw;
}

/**
 * The raw handle of a server or a socket, as long as it has one.
 *
 * @param {any} one Of `net`. For `dgram` see there.
 */
const rawOf = (one) => one._handle;

/**
 * Parts a socket from its raw handle, so that it reads nothing more. The handle stays open.
 *
 * @param {any} socket
 * @returns {any}
 */
function takeRaw(socket) {
  const raw = socket._handle;
  raw.onread = () => {};
  raw.readStop();
  socket._handle = null;
  return raw;
}

/**
 * Makes a server listen on a raw handle. In a worker `listen` would take its number for that of a descriptor of the primary:
 * this is the rest of it.
 *
 * @param {any} server
 * @param {any} raw
 */
function listenOn(server, raw) {
  server._handle = raw;
  server._listen2(null, -1, -1);
}

/**
 * The raw handle that another one has below it: TLS has one of TCP.
 *
 * @param {any} raw
 */
const rawUnder = (raw) => raw._parent;

/**
 * Calls a function with each server that begins to listen from now on, whoever accepts its connections. Node calls this method by its name
 * for those who put their own around it.
 *
 * @param {(server: any) => void} look
 */
function afterListening(look) {
  const { prototype } = /** @type {any} */ (net().Server);
  const { _listen2: listen2 } = prototype;
  prototype._listen2 = function (/** @type {any[]} */ ...args) {
    Reflect.apply(listen2, this, args);
    look(this);
  };
}

/**
 * A property that all sockets have.
 *
 * @param {string} name
 * @param {(socket: any) => unknown} get
 */
function defineOnSockets(name, get) {
  Object.defineProperty(net().Socket.prototype, name, {
    configurable: true,
    get() {
      return get(this);
    },
  });
}

/**
 * A raw handle that is bound to a path, or the error that the kernel has for it (negative).
 *
 * @param {string} path
 */
const bindPipe = (path) => net()._createServerHandle(path, -1, -1);

/**
 * How many connections a server has, by its own count; `undefined` for one of datagrams.
 *
 * @param {any} server
 * @returns {number | undefined}
 */
const connectionsOf = (server) => server._connections;

/**
 * One of them is somebody else's from now on. `net` tells nobody.
 *
 * @param {any} server
 */
function forgetConnection(server) {
  server._connections--;
}

/**
 * Calls a function whenever `net` looks whether a server is done, which is when a connection of it has ended.
 *
 * @param {any} server
 * @param {() => void} onEnd
 */
function whenConnectionEnds(server, onEnd) {
  const { _emitCloseIfDrained: emitCloseIfDrained } = server;
  Object.defineProperty(server, '_emitCloseIfDrained', {
    configurable: true,
    writable: true,
    value(/** @type {any[]} */ ...args) {
      onEnd();
      return Reflect.apply(emitCloseIfDrained, this, args);
    },
  });
}

/**
 * The address by which a server is known, as a text.
 *
 * @param {any} server
 * @returns {string}
 */
const keyOf = (server) => server._connectionKey;

/**
 * A server counts the sockets that have been sent to another process.
 *
 * @param {any} server
 * @param {import('node:events').EventEmitter} list With `getConnections` and `close`; emits `exit`.
 */
const countWith = (server, list) => server._setupWorker(list);

/**
 * The server that a connection came to. Unlike `server`, it stays when the program changes that.
 *
 * @param {any} socket
 */
const serverOf = (socket) => socket._server;

/**
 * Whether the other side has ended a connection, though that may not have been told yet.
 *
 * @param {any} socket
 */
const hasEnd = (socket) => Boolean(socket._readableState?.ended);

/**
 * Whether a socket has given everything to the kernel.
 *
 * @param {any} socket
 */
const hasSentAll = (socket) => socket.writableLength === 0 && !socket._handle?.writeQueueSize;

/**
 * What a server tells those of other workers on the same address of itself, if anything: for TLS the keys of its session tickets.
 *
 * @param {any} server
 */
const serverData = (server) => server._getServerData?.() ?? null;

/**
 * What the first of them has said. Throws if it is nonsense.
 *
 * @param {any} server
 * @param {unknown} data
 */
const setServerData = (server, data) => server._setServerData?.(data);

/**
 * @param {any} socket With a `timeout`.
 * @returns {number} ms until it emits `timeout`; all of them, where that cannot be found out.
 */
function untilTimeout(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'timeout');
  const timer = symbol && socket[symbol];
  // What time it is on the clock of timers.
  const now = setTimeout(() => {}, 1);
  clearTimeout(now);
  const left = timer?._idleStart + socket.timeout - /** @type {any} */ (now)._idleStart;
  return Number.isFinite(left) ? left : socket.timeout;
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
  listenOn(server, handle);
  server._handle = null;
  handle.onconnection(0, { close() {}, readStop() {} });
  return zeroLimits;
}

module.exports = {
  afterListening,
  bindPipe,
  connectionsOf,
  countWith,
  defineOnSockets,
  dgram,
  forgetConnection,
  hasEnd,
  hasSentAll,
  keyOf,
  listenOn,
  net,
  openRaw,
  rawHandle,
  rawOf,
  rawUnder,
  serverData,
  serverOf,
  setServerData,
  takeRaw,
  untilTimeout,
  whenConnectionEnds,
  zeroIsLimit,
};
