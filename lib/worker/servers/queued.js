'use strict';

// The servers of a worker that get their connections from the queue (and, under SCHED_REUSEPORT, from a socket of their own besides):
// what comes is handed over or goes back, and what they have had may go on.

const { load } = require('../../native.js');
const { openRaw } = require('../../node/net.js');
const { Counts, TAKEN, UNKNOWN } = require('./counts.js');
const { FullServers, hasRoom, mustGoOn } = require('./full.js');
const { Shortage } = require('./shortage.js');
const { standIn } = require('./stand_in.js');

/** @typedef {import('./places.js').Place} Place */

/**
 * A server that gets connections from the queue.
 *
 * @typedef {object} Accepting
 * @property {string} key The primary's name for it.
 * @property {any} server The user's server.
 * @property {any} handle What stands in for its listening socket.
 * @property {'tcp' | 'pipe'} kind Of its connections.
 * @property {boolean} full Whether the primary thinks that it has as many connections as it may have.
 * @property {Seat} [seat] Where it gets those for the seat of this worker alone.
 * @property {import('./own_socket.js').OwnSocket} [own] Where it gets connections without the primary.
 */

/**
 * The address of this worker's seat.
 *
 * @typedef {{ key: string, listener: number, port?: number, path?: string, isClosed?: boolean }} Seat
 */

/**
 * What they need of the others.
 *
 * @typedef {object} Ways
 * @property {(key: string) => void} onClose Called when a server has closed.
 * @property {(message: object, fd: number) => boolean} tell Sends a message to the primary.
 * @property {(server: any, listener: number) => void} onListening A server is about to listen.
 * @property {() => import('../proxied/gate.js').Gate | undefined} proxied Before servers whose connections come from proxies.
 */

class QueuedServers {
  /** By the listener's id. @type {Map<number, Accepting>} */
  #accepting = new Map();
  /** How many servers want the process to live. */
  #references = 0;
  #taking = true;
  #full = new FullServers(() => this.#lookForRoomEverywhere());
  #queue;
  #counts;
  #shortage;
  #ways;

  /**
   * @param {(onConnection: (fd: number, listener: number, left: number, said?: Buffer) => void) => import('../../native-types').ConnectionQueue} openQueue
   * @param {Ways} ways
   */
  constructor(openQueue, ways) {
    this.#ways = ways;
    this.#queue = openQueue((fd, listener, left, said) => this.#onConnection(fd, listener, left, said));
    this.#shortage = new Shortage(this.#queue, {
      pause: () => this.#pauseOwn(),
      goOn: () => this.#openAllOwn(),
    });
    this.#counts = new Counts(/** @type {any} */ (this.#queue.counts), {
      look: (fd) => this.#shortage.look(fd),
      ended: (number) => this.#shortage.ended(number),
      changed: (listener) => this.#lookForRoom(listener),
    });
  }

  /**
   * The server gets its connections from the queue and, if there is one, from a socket of its own.
   *
   * @param {any} server
   * @param {{ key: string, listener: number, sockname: object | null, backlog: number, seat?: Seat }} reply
   * @param {number} fd The socket of its own, or -1.
   * @param {Place} place
   * @param {(errno: number, handle: any) => void} callback
   */
  accept(server, { key, listener, sockname, backlog, seat }, fd, place, callback) {
    let open = true;
    const addresses = seat ? [seat, { key, listener }] : [{ key, listener }];
    const handle = standIn({
      sockname,
      onReference: (change) => this.#countReference(change),
      onClose: () => {
        open = false;
        this.#ways.proxied()?.giveBack(server);
        this.#accepting.get(listener)?.own?.close();
        for (const one of addresses) {
          this.#accepting.delete(one.listener);
          this.#ways.onClose(one.key);
        }
        place.leave();
      },
    });
    this.#accepting.set(listener, { key, server, handle, kind: sockname ? 'tcp' : 'pipe', full: false, seat });
    if (seat) this.#accepting.set(seat.listener, { key: seat.key, server, handle, kind: seat.port === undefined ? 'pipe' : 'tcp', full: false });
    this.#ways.onListening(server, listener);
    callback(0, handle);
    // Only now it is ready for a connection, unless it has been closed.
    if (open) for (const one of addresses) this.#ways.tell({ act: 'accepting', key: one.key }, -1);
    if (fd >= 0) this.own(listener, fd, backlog);
  }

  /**
   * Its connections are counted from now on.
   *
   * @param {any} server
   * @param {number} [listener]
   */
  count(server, listener) {
    this.#counts.watch(server, listener);
  }

  /**
   * A server that gets connections from the queue gets a socket of its own besides.
   *
   * @param {number} listener
   * @param {number} fd
   * @param {number} backlog
   */
  own(listener, fd, backlog) {
    const accepting = this.#accepting.get(listener);
    if (!accepting || accepting.own || !this.#taking) {
      load().closeFd(fd);
      return;
    }
    const { OwnSocket } = require('./own_socket.js');
    accepting.own = new OwnSocket(fd, backlog, (status, client) => this.#onOwnConnection(listener, status, client));
    if (accepting.own.open() === 0) return;
    // What comes to it is the primary's business again.
    accepting.own.close();
    this.#ways.tell({ act: 'disown', key: accepting.key }, -1);
  }

  /** @param {number} change */
  #countReference(change) {
    this.#references += change;
    this.#queue.setRef(this.#references > 0);
  }

  #pauseOwn() {
    for (const { own } of this.#accepting.values()) own?.pause();
  }

  #openAllOwn() {
    for (const accepting of this.#accepting.values()) this.#openOwn(accepting);
  }

  /** @param {Accepting} accepting */
  #openOwn(accepting) {
    if (accepting.own && !accepting.full && this.#taking && accepting.own.open() < 0) this.#shortage.retryLater();
  }

  /**
   * The primary is told when a server that was full has room again.
   *
   * @param {number} listener
   */
  #lookForRoom(listener) {
    const accepting = this.#accepting.get(listener);
    if (accepting?.seat) this.#lookForRoom(accepting.seat.listener);
    if (!accepting?.full || !hasRoom(accepting.server)) return;
    accepting.full = false;
    if (!this.#queue.available(listener)) this.#shortage.retryLater();
    this.#openOwn(accepting);
  }

  /** Whether there are full servers still. */
  #lookForRoomEverywhere() {
    for (const [listener, { full }] of this.#accepting) if (full) this.#lookForRoom(listener);
    return [...this.#accepting.values()].some(({ full }) => full);
  }

  /** @param {Accepting} accepting */
  #setFull(accepting) {
    accepting.full = true;
    accepting.own?.pause();
    this.#full.watch();
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {number} left
   * @param {Buffer} [said]
   */
  #onConnection(fd, listener, left, said) {
    if (fd < 0) {
      // Why it is tried again later is of interest only where something can be done about it.
      if (fd === -1) this.#shortage.begin();
      else this.#shortage.retryLater();
      return;
    }
    const accepting = this.#accepting.get(listener);
    if (!accepting?.handle.onconnection || !this.#taking) {
      this.#giveBack(fd, listener, false, left, said);
    } else if (mustGoOn(accepting.server)) {
      this.#setFull(accepting);
      this.#giveBack(fd, listener, true, left, said);
    } else {
      const { handle, kind, server } = accepting;
      const handOver = () => {
        const client = openRaw(kind, fd);
        if (left !== 0 || said) this.#ways.proxied()?.moved(client, said);
        handle.onconnection(0, client);
      };
      this.#counts.begin(server, TAKEN, left === 0 ? handOver : () => adoptMoved(server, left, handOver));
    }
  }

  /**
   * @param {number} listener
   * @param {number} status
   * @param {any} client
   */
  #onOwnConnection(listener, status, client) {
    const accepting = this.#accepting.get(listener);
    if (accepting && client && mustGoOn(accepting.server) && this.#giveBackOwn(accepting, listener, client, true)) return;
    if (!accepting) return;
    const fd = this.#shortage.isDue() ? (client?.fd ?? UNKNOWN) : UNKNOWN;
    this.#counts.begin(accepting.server, fd, () => accepting.handle.onconnection(status, client));
  }

  /**
   * Gives one back of which there is a raw handle already, and no server has it.
   *
   * @param {Accepting} accepting
   * @param {number} listener
   * @param {any} client
   * @param {boolean} full
   * @returns {boolean} Whether it went.
   */
  #giveBackOwn(accepting, listener, client, full) {
    const copy = load().duplicateFd(client.fd);
    if (copy < 0) return false;
    if (full) this.#setFull(accepting);
    this.#counts.passedOn();
    this.#giveBack(copy, listener, full);
    client.close();
    return true;
  }

  /**
   * @param {number} fd
   * @param {number} listener
   * @param {boolean} full
   * @param {number} [left]
   * @param {Buffer} [said]
   */
  #giveBack(fd, listener, full, left = 0, said = undefined) {
    if (!this.#queue.giveBack(fd, listener, full, left, said)) this.#shortage.retryLater();
  }

  /**
   * Hands one over of which nobody knew when it came, as it had to wait.
   *
   * @param {any} server
   * @param {() => void} handOver
   */
  begin(server, handOver) {
    this.#counts.begin(server, UNKNOWN, handOver);
  }

  /**
   * Whether a connection of a server's that has waited has to go to another worker.
   *
   * @param {any} server
   */
  isFull(server) {
    return mustGoOn(server) && this.has(server);
  }

  /**
   * Gives a connection that has waited to other workers.
   *
   * @param {any} server
   * @param {any} client
   * @param {boolean} full
   * @returns {boolean} Whether it went.
   */
  giveBack(server, client, full) {
    const listener = this.#listenerOf(server, client.fd);
    return listener !== undefined && this.#giveBackOwn(/** @type {Accepting} */ (this.#accepting.get(listener)), listener, client, full);
  }

  /** @returns {any[]} The user's servers; one with two addresses is there twice. */
  all() {
    return [...this.#accepting.values()].map(({ server }) => server);
  }

  /** @param {any} server */
  has(server) {
    return this.all().includes(server);
  }

  /** Nothing new comes to sockets of their own. What the primary has accepted already is still taken. */
  stopListening() {
    for (const { own } of this.#accepting.values()) own?.close();
  }

  get isTaking() {
    return this.#taking;
  }

  /** Whatever still comes goes back. */
  stopTaking() {
    this.#taking = false;
  }

  /** Nobody comes after this worker: connections of its seat end with it. */
  onSeatClosed() {
    for (const { seat } of this.#accepting.values()) if (seat) seat.isClosed = true;
  }

  /**
   * Whether there may be others who can take a connection of a server.
   *
   * @param {any} server One of ours.
   * @param {number} fd
   */
  canPassOn(server, fd) {
    const { seat } = /** @type {Accepting} */ ([...this.#accepting.values()].find((one) => one.server === server));
    return !seat?.isClosed || !isOfSeat(seat, fd);
  }

  /**
   * Where a connection of a server's came from: there it goes back, or on to others. One of a seat stays one of that seat.
   *
   * @param {any} server
   * @param {number} fd
   */
  #listenerOf(server, fd) {
    for (const [listener, one] of this.#accepting) if (one.server === server && !(one.seat && isOfSeat(one.seat, fd))) return listener;
    return undefined;
  }

  /**
   * Gives a connection of a server's to other workers. Its descriptor stays open here until the caller closes it.
   *
   * @param {any} server
   * @param {number} fd
   * @param {number} left How long it may stay idle, as of moved.js.
   * @param {Buffer} [said] What a proxy has said of it.
   * @returns {boolean | undefined} Whether it went; nothing when it came from nowhere here.
   */
  passOn(server, fd, left, said) {
    const listener = this.#listenerOf(server, fd);
    return listener === undefined ? undefined : this.#queue.passOn(fd, listener, left, said);
  }

  /** No connection comes any more. */
  close() {
    this.#shortage.close();
    this.#queue.close();
  }
}

/**
 * @param {any} server
 * @param {number} left
 * @param {() => void} handOver
 */
function adoptMoved(server, left, handOver) {
  // Most workers never need it.
  require('./moved.js').adopt(server, left >>> 0, handOver);
}

/**
 * Whether a connection came to the seat's address, where the next one of the seat gets it.
 *
 * @param {Seat} seat
 * @param {number} fd
 */
function isOfSeat({ port, path }, fd) {
  const name = load().socketName(fd);
  return port === undefined ? name?.path === path : name?.port === port;
}

module.exports = { QueuedServers, adoptMoved };
