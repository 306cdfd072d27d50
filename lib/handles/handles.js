'use strict';

// Servers and sockets that travel with a message: what becomes of them at either end.

const { load } = require('../native.js');
const { udpHandle } = require('../node/dgram.js');
const { detachHttp } = require('../node/http.js');
const { dgram, forgetConnection, keyOf, listenOn, net, openRaw, rawHandle, rawOf, takeRaw } = require('../node/net.js');
const { counted } = require('./counted.js');
const { SocketLists } = require('./socket_lists.js');
const { Unheard } = require('./unheard.js');
const errors = () => require('../errors.js');

const nothing = () => {};

/** Classes of raw handles that can be sent. What is inside a TLS socket, or a terminal, would arrive as something else. */
const STREAMS = new Set(['TCP', 'Pipe']);

/**
 * What handles need of the channel that they travel over.
 *
 * @typedef {object} Peer
 * @property {boolean} trusted Whether the other side is a worker's primary.
 * @property {(message: object) => boolean} sendControl Returns whether it could be sent.
 * @property {() => void} mayBeAbroad What has come may be the other side's own end of the channel.
 */

/** The handles that one channel has sent and got. */
class Handles {
  #peer;
  #lists;
  #unheard = new Unheard();

  /** @param {Peer} peer */
  constructor(peer) {
    this.#peer = peer;
    this.#lists = new SocketLists(peer);
  }

  /**
   * What is to be sent for a handle: `about` goes with the message, `fd` is its descriptor (negative when it cannot be sent
   * now; `undefined` when there is nothing to send any more, and the message goes alone), and `release` is called when the
   * descriptor has been duplicated.
   *
   * @param {any} handle
   * @param {{ keepOpen?: boolean }} options
   * @returns {{ about: { type: string, key?: string, dgramType?: string }, fd: number | undefined, release: () => void }}
   */
  prepare(handle, options) {
    if (handle instanceof net().Socket) return this.#prepareSocket(handle, options);
    if (handle instanceof net().Server) return { about: { type: 'net.Server' }, fd: fdOf(rawOf(handle)), release: nothing };
    if (handle instanceof dgram().Socket) {
      return { about: { type: 'dgram.Socket', dgramType: handle.type }, fd: fdOf(udpHandle(handle)), release: nothing };
    }
    for (const kind of /** @type {const} */ (['tcp', 'pipe', 'udp'])) {
      if (handle instanceof rawHandle(kind)) return { about: { type: 'raw' }, fd: fdOf(handle), release: nothing };
    }
    throw errors().invalidHandle();
  }

  /**
   * @param {any} socket
   * @param {{ keepOpen?: boolean }} options
   */
  #prepareSocket(socket, { keepOpen }) {
    const raw = rawOf(socket);
    /** @type {{ type: string, key?: string }} */
    const about = { type: 'net.Socket' };
    if (!raw) return { about, fd: undefined, release: nothing };
    if (!STREAMS.has(raw.constructor.name)) throw errors().invalidHandle();
    if (socket.server) {
      about.key = keyOf(socket.server);
      this.#lists.sent(socket.server);
      if (!keepOpen) {
        forgetConnection(socket.server);
        counted.get(socket.server)?.();
      }
    }
    if (keepOpen) return { about, fd: fdOf(raw), release: nothing };
    detach(socket);
    return { about, fd: fdOf(raw), release: () => raw.close() };
  }

  /**
   * Makes of a received descriptor what was sent; throws when it cannot be that. The result calls `emit` with it,
   * perhaps later, or never when it turns out to be of no use.
   *
   * @param {any} about
   * @param {number} fd
   * @returns {(emit: (handle: any) => void) => void}
   */
  receive(about, fd) {
    const kind = load().socketKind(fd);
    const type = about?.type;
    const [isServer, isSocket, isDatagram] = [type === 'net.Server', type === 'net.Socket', type === 'dgram.Socket'];
    const fits = isServer || isSocket ? kind !== 'udp' : !isDatagram || kind === 'udp';
    // A worker trusts its primary. The other way round the kernel is asked.
    const { trusted } = this.#peer;
    const isLie = (isServer || isSocket) && !trusted && load().isListening(fd) !== isServer;
    if (!kind || !fits || isLie) {
      discardForeign(fd);
      throw errors().invalidHandle();
    }
    if (kind === 'pipe' && !trusted) this.#peer.mayBeAbroad();
    if (isDatagram) return adoptDatagram(about.dgramType === 'udp6' ? 'udp6' : 'udp4', fd, trusted);
    const raw = openRaw(kind, fd, isServer);
    if (isServer) return (emit) => adoptServer(raw, kind, trusted, emit);
    if (isSocket) return (emit) => emit(this.#adoptSocket(raw, about.key));
    return (emit) => emit(raw);
  }

  /**
   * Nobody listens for the message that this came with.
   *
   * @param {any} about
   * @param {number} fd
   */
  ignore(about, fd) {
    if (about?.type === 'net.Socket') this.#unheard.keep(fd);
    else discardForeign(fd);
  }

  /**
   * @param {any} raw
   * @param {unknown} key
   */
  #adoptSocket(raw, key) {
    const socket = new (net().Socket)({ handle: raw, readable: true, writable: true });
    if (typeof key === 'string') this.#lists.got(key, socket);
    // A worker may send a socket that was never connected; nobody may be listening for its error yet.
    if (!this.#peer.trusted) socket.on('error', nothing);
    return socket;
  }

  /**
   * Handles what the other side says of sockets that were sent.
   *
   * @param {any} message
   * @returns {boolean} Whether it makes sense, and is not one question too many.
   */
  onControl(message) {
    return this.#lists.onControl(message);
  }

  /** The other process is gone, and what it has got with it. */
  close() {
    this.#unheard.close();
    this.#lists.close();
  }
}

/** @param {any} raw */
function fdOf(raw) {
  if (!raw) return undefined;
  // A server of a worker under round-robin has no socket of its own that could be sent.
  if (typeof raw.fd !== 'number') throw errors().invalidHandle();
  return raw.fd;
}

/**
 * Parts a socket from its raw handle, which stays open, so that it reads nothing more.
 *
 * @param {any} socket
 */
function detach(socket) {
  takeRaw(socket);
  socket.setTimeout(0);
  detachHttp(socket);
}

/**
 * Closes a descriptor that has come from another process. That may take as long as that process likes.
 *
 * @param {number} fd
 */
function discardForeign(fd) {
  load().closeForeign(fd);
}

/**
 * @param {any} raw
 * @param {'tcp' | 'pipe' | 'udp'} kind
 * @param {boolean} trusted
 * @param {(server: any) => void} emit
 */
function adoptServer(raw, kind, trusted, emit) {
  const server = new (net().Server)();
  // The sender may have ended it meanwhile, or end it later: it has the same socket. Then it must not accept in vain for ever,
  // nor be an error that ends the primary.
  if (!trusted) server.on('error', () => server.listenerCount('error') === 1 && server.close(nothing));
  server.once('listening', () => emit(server));
  if (kind === 'tcp') {
    server.listen(raw);
  } else {
    listenOn(server, raw);
  }
}

/**
 * @param {'udp4' | 'udp6'} type
 * @param {number} fd
 * @param {boolean} trusted
 * @returns {(emit: (socket: any) => void) => void}
 */
function adoptDatagram(type, fd, trusted) {
  // As Node does it: a program may have replaced `createSocket`.
  const socket = new (dgram().Socket)(type);
  const raw = openRaw('udp', fd, false, udpHandle(socket));
  // An error may be pending, or come at any time: its sender has the same socket.
  if (!trusted) socket.on('error', nothing);
  return (emit) => socket.bind(raw, () => emit(socket));
}

module.exports = { Handles, detach };
