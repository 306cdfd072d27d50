'use strict';

// What the workers listen on: one entry per address, shared by all workers that ask for it.

const { load } = require('../native.js');
const { POLICIES } = require('./policies.js');
const { Guarded } = require('./guarded.js');
const { Handover } = require('./handover.js');
const { Shares } = require('./heirs.js');
const { Opener, errno } = require('./opener.js');
const { addressOnly, isTooMuch, isUdp, nameOf, typed } = require('./question.js');
const { SeatListeners } = require('./seat_listeners.js');

/** @typedef {import('./question.js').Question} Question */

/** As in Node. */
const DEFAULT_BACKLOG = 511;

/** How often (ms) we look whether the last connections have been handed over. */
const LOOK = 10;

/** How long (ms) a listener outlives its last worker when that has died: its replacement finds what came meanwhile. */
const REPLACED_WITHIN = 5000;

/**
 * @typedef {object} ListenedOn An address that a worker listens on.
 * @property {string} key
 * @property {string} name In words, such as `127.0.0.1:3000`.
 * @property {boolean} fixed Whether the program has chosen the port, not the system.
 */

/**
 * @typedef {object} Asked
 * @property {string} key
 * @property {string} name The address in words.
 * @property {boolean} fixed Whether the program has chosen the port, not the system.
 * @property {boolean} accepted Whether the acceptor accepts; if not, `id` is a descriptor that workers share.
 * @property {number} backlog
 * @property {unknown} data What the first server said of itself (the key of TLS tickets).
 * @property {import('./question.js').Question} question What was asked for first.
 * @property {Set<any>} workers
 * @property {Set<any>} accepting Those whose servers have the answer, and take connections.
 * @property {any} [last] The worker that was the last to leave.
 * @property {NodeJS.Timeout} [replacement] Until when one is awaited for the last worker.
 * @property {number} [seat] Whose address it is, if it is for the worker of one seat: then it lives as long as that.
 */

/** @typedef {Asked & import('./opener.js').Opened} Entry */

/**
 * Who has taken a worker's place, or the place of the one who had.
 *
 * @param {any} worker
 * @returns {any}
 */
function heirOf({ heir }) {
  return heir?.heir ? heirOf(heir) : heir;
}

/** @param {Question} question */
const keyOf = ({ address, port, addressType, fd, index }) => [address, port, addressType, fd, index].join(':');

class Listeners {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {import('../native-types').Acceptor | undefined} */
  #acceptor;
  #host;
  #native;
  /** What others keep for us. */
  #guarded;
  #opener;
  /** Who gets what moves. */
  #shares = new Shares();
  #isLeaving = false;
  /** Of listeners that are closed as soon as what has come has been accepted. @type {import('./guarded.js').Guard[]} */
  #finishing = [];
  /** What passes between these and those of another primary. */
  handover;
  /** Those of single seats. */
  seats = new SeatListeners({
    open: (question) => this.#openForSeat(question),
    close: (entry) => this.#close(entry, true),
    entryOf: (key) => this.#entries.get(key),
  });

  /**
   * @typedef {object} Host
   * @property {(text: string) => void} onWarning
   * @property {(worker: number, reason: string) => void} onGivenUp The acceptor cannot do anything for this worker any more.
   * @property {() => boolean} anotherComes Whether a worker is sure to take the place of one that has died.
   */

  /**
   * @param {Host} host
   * @param {() => Pick<import('../native-types').Native, 'Acceptor' | 'bindShared' | 'closeFd' | 'duplicateFd' | 'isConnection' | 'isListening' | 'retireSocket' | 'socketKind' | 'socketName'>} [native]
   */
  constructor(host, native = load) {
    this.#host = host;
    this.#native = native;
    this.#guarded = new Guarded(native);
    this.#opener = new Opener(native, () => this.acceptor, this.#guarded, (fd) => this.#isOurs(fd));
    this.handover = new Handover({
      native,
      guarded: this.#guarded,
      shares: this.#shares,
      acceptor: () => this.acceptor,
      startedAcceptor: () => this.#acceptor,
      entries: () => [...this.#entries.values()],
      entryOf: (key) => this.#entries.get(key),
      onLeft: (entry) => this.#awaitReplacement(entry),
    });
  }

  /**
   * @param {{ fd: number, name: string }[]} sockets Listening sockets to use instead of binding their addresses.
   * @param {import('./guarded.js').Store} [store] Whom our listeners are given to.
   */
  useSockets(sockets, store) {
    this.#guarded.use(sockets, store);
  }

  /** Closes what a primary before us had and nobody has asked for. */
  closeUnclaimed() {
    this.#guarded.closeUnclaimed();
  }

  /**
   * Before any is opened: on all that workers listen on it is said first whom a connection is from.
   *
   * @param {readonly string[]} senders Who is believed.
   */
  expectHeaders(senders) {
    this.#opener.senders = [...senders];
  }

  /** From now on what is closed here goes on elsewhere: the manager keeps the sockets, and their files stay. */
  leaveSockets() {
    this.#isLeaving = true;
  }

  /** Started when it is first needed. */
  get acceptor() {
    return (this.#acceptor ??= new (this.#native().Acceptor)(this.#host.onWarning, this.#host.onGivenUp));
  }

  /**
   * A worker wants to listen.
   *
   * @param {any} worker
   * @param {any} asked
   * @param {number} policy Who accepts: under `SCHED_NONE` the worker itself, from the bound socket.
   * @returns {{ errno: number } | { errno: 0, entry: Entry }} `errno` is negative when it cannot be.
   */
  join(worker, asked, policy) {
    try {
      return this.#join(worker, typed(asked), policy);
    } catch (error) {
      // The acceptor could not be started, or the worker could not be added to it: the next who asks may have more luck.
      return { errno: require('../errors.js').errnoOf(error) };
    }
  }

  /**
   * @param {any} worker
   * @param {Question} question
   * @param {number} policy
   * @returns {{ errno: number } | { errno: 0, entry: Entry }}
   */
  #join(worker, question, policy) {
    if (isTooMuch(question)) return { errno: -errno().EINVAL };
    const known = this.#entries.get(keyOf(question));
    if (known?.seat !== undefined) return { errno: -errno().EADDRINUSE };
    const accepted = known?.accepted ?? (policy !== POLICIES.SCHED_NONE && !isUdp(question));
    if (accepted && worker.enter() === undefined) return { errno: -errno().ESRCH };
    const entry = known ?? this.#open(question, accepted, policy);
    if (typeof entry === 'number') return { errno: entry };
    clearTimeout(entry.replacement);
    entry.last = undefined;
    entry.data ??= question.data;
    if (!entry.workers.has(worker)) worker.joined++;
    entry.workers.add(worker);
    return { errno: 0, entry };
  }

  /**
   * @param {Question} question
   * @param {boolean} accepted
   * @param {number} policy
   * @returns {Entry | number} A negative errno.
   */
  #open(question, accepted, policy) {
    const opened = this.#opener.open(question, accepted, policy);
    if (opened.id < 0) return opened.id;
    const backlog = question.backlog > 0 ? question.backlog : DEFAULT_BACKLOG;
    const described = { key: keyOf(question), name: nameOf(question), fixed: question.port !== 0 };
    /** @type {Entry} */
    const entry = { ...described, accepted, ...opened, question, backlog, data: this.handover.dataBefore(described.key), workers: new Set(), accepting: new Set() };
    this.#entries.set(entry.key, entry);
    return entry;
  }

  /** @param {Question} question */
  #openForSeat(question) {
    if (this.#entries.has(keyOf(question))) return -errno().EADDRINUSE;
    try {
      return this.#open({ ...question, backlog: DEFAULT_BACKLOG }, true, POLICIES.SCHED_RR);
    } catch (error) {
      return require('../errors.js').errnoOf(error);
    }
  }

  /**
   * The worker's server is ready: what came before that would come back. Now it gets its part.
   *
   * @param {any} worker
   * @param {string} key
   */
  onAccepting(worker, key) {
    const entry = this.#entries.get(key);
    if (!entry?.accepted || !entry.workers.has(worker) || worker.number === undefined) return;
    entry.accepting.add(worker);
    if (!worker.held) this.acceptor.addMember(entry.id, worker.number);
  }

  /**
   * What a worker listens on, besides the address of its seat.
   *
   * @param {any} worker
   * @returns {ListenedOn[]}
   */
  listenedOn(worker) {
    const all = [...this.#entries.values()];
    return all.filter(({ accepted, accepting, seat, workers }) => seat === undefined && (accepted ? accepting : workers).has(worker));
  }

  /**
   * A worker that is about to leave has an heir.
   *
   * @param {any} worker
   * @param {any} heir Gets what comes back, and the clients that stick.
   */
  succeed(worker, heir) {
    worker.heir = heir;
    if (worker.number !== undefined && heir.number !== undefined) this.#acceptor?.succeed(worker.number, heir.number);
  }

  /**
   * A worker that was kept out of the rotation takes its part.
   *
   * @param {any} worker
   */
  release(worker) {
    for (const entry of this.#entries.values()) {
      if (!entry.accepted || !entry.workers.has(worker) || worker.number === undefined) continue;
      if (entry.accepting.has(worker)) this.acceptor.addMember(entry.id, worker.number);
      this.withOwnSocket(worker, entry, (fd) => {
        if (fd >= 0) worker.tell({ act: 'own', listener: entry.id, backlog: entry.backlog }, fd);
      });
    }
  }

  /**
   * Calls `send` with the descriptor of the worker's own socket, or with -1 when it gets none: not under this policy,
   * not yet, or for want of descriptors. It serves what the others cannot all the same.
   *
   * @param {any} worker
   * @param {Entry} entry
   * @param {(fd: number) => void} send
   */
  withOwnSocket(worker, entry, send) {
    const wanted = entry.distributed && !worker.held && worker.number !== undefined;
    const fd = wanted ? this.acceptor.ownSocket(entry.id, worker.number, entry.backlog) : -1;
    send(Math.max(fd, -1));
    if (fd < 0) return;
    entry.guards = this.#guarded.living(entry.guards);
    this.#guarded.guard(entry.question, true, entry.guards, () => this.#native().duplicateFd(fd));
    this.#native().closeFd(fd);
  }

  /**
   * The worker cannot use the socket of its own.
   *
   * @param {any} worker
   * @param {string} key
   */
  disown(worker, key) {
    const entry = this.#entries.get(key);
    if (entry?.distributed && entry.workers.has(worker) && worker.number !== undefined) this.acceptor.disown(entry.id, worker.number);
  }

  /**
   * A connection that a worker which is leaving hands on: to the one that has taken its place, unless that has more than its part by
   * then, or else to who has the fewest. Without anybody to take it, it is closed by the caller.
   *
   * @param {any} from
   * @param {string} key
   * @param {number} fd
   * @param {number} left How long it may stay idle.
   * @param {string} [said] What a proxy has said of it.
   */
  move(from, key, fd, left, said) {
    const entry = this.#entries.get(key);
    if (entry && this.handover.takes(key, fd, left)) return;
    const all = entry ? [...entry.workers].filter((worker) => worker !== from) : [];
    const released = all.filter((worker) => !worker.held);
    const others = released.length > 0 ? released : all;
    if (!entry || !this.#native().isConnection(fd) || others.length === 0) return;
    if (this.#native().socketKind(fd) === 'pipe') from.channel?.mayBeAbroad();
    const passOn = (/** @type {any} */ to) => to.channel?.passOn({ act: 'adopt', key, left, said }, fd, from.channel);
    // One that has stopped reading is passed over.
    const to = this.#shares.inOrder(others, heirOf(from)).find(passOn);
    if (to) this.#shares.give(to);
  }

  /**
   * Whether it is one that we have opened for workers.
   *
   * @param {number} fd
   */
  #isOurs(fd) {
    const name = this.#native().socketName(fd);
    return [...this.#entries.values()].some((entry) => {
      if (!entry.ours) return false;
      if (!entry.accepted && entry.id === fd) return true;
      const own = entry.path === undefined ? this.address(entry) : undefined;
      if (name?.port !== undefined) return name.port === own?.port && name.address === addressOnly(own);
      return name?.path !== undefined && name.path === entry.path;
    });
  }

  /**
   * The worker has closed the server that has this key. That may be heard of when it has died since.
   *
   * @param {any} worker
   * @param {string} key
   */
  leave(worker, key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    // One that has crashed and finishes what it has closes its servers in the end: they wait for who takes its place.
    if (entry.last === worker && !worker.crashed) this.#close(entry);
    else this.#leave(entry, worker, false);
  }

  /**
   * The worker serves nothing any more.
   *
   * @param {any} worker
   * @param {boolean} died Not by its own or anybody's will: another may take its place.
   */
  leaveAll(worker, died) {
    for (const entry of [...this.#entries.values()]) this.#leave(entry, worker, died);
  }

  /**
   * These workers end together. What only they listen on is closed, and what has come by then they still get; what others
   * listen on, too, goes on without them.
   *
   * @param {any[]} workers
   * @returns {Promise<void>} Resolves when all of it is in their queues.
   */
  async finish(workers) {
    const ending = new Set(workers);
    for (const entry of [...this.#entries.values()]) {
      const stays = [...entry.workers].some((worker) => !ending.has(worker));
      if (stays) for (const worker of ending) this.#leave(entry, worker, false);
      else this.#close(entry, true);
    }
    await this.handedOver();
  }

  /** Resolves when what has come to listeners that were closed is in queues of workers. */
  async handedOver() {
    const { setTimeout: sleep } = require('node:timers/promises');
    while (this.#acceptor?.isFinishing()) await sleep(LOOK);
    for (const guard of this.#finishing.splice(0)) this.#guarded.release(guard);
  }

  /**
   * @param {Entry} entry
   * @param {any} worker
   * @param {boolean} died
   */
  #leave(entry, worker, died) {
    if (!entry.workers.delete(worker)) return;
    worker.joined--;
    entry.accepting.delete(worker);
    // One that has ended is out of the acceptor's books altogether.
    if (entry.accepted && worker.number !== undefined) this.acceptor.removeMember(entry.id, worker.number);
    if (entry.workers.size > 0 || entry.seat !== undefined) return;
    entry.last = worker;
    // Who hears of the end may look for the file: with the built-in module it has gone by then. A supervisor takes care of it.
    const isLookedFor = entry.removeFile !== undefined && !worker.supervised;
    if (died && entry.accepted && !isLookedFor) this.#awaitReplacement(entry);
    else this.#close(entry);
  }

  /**
   * Keeps the listener open for a while: for another worker, which finds what came meanwhile.
   *
   * @param {Entry} entry
   */
  #awaitReplacement(entry) {
    entry.replacement = setTimeout(() => (this.#host.anotherComes() ? this.#awaitReplacement(entry) : this.#close(entry)), REPLACED_WITHIN).unref();
  }

  /**
   * Closes what only waits for a worker that may come, as there will be none: all of it, or what this worker left.
   *
   * @param {any} [worker]
   */
  closeAwaiting(worker) {
    for (const entry of [...this.#entries.values()]) {
      if (entry.workers.size === 0 && entry.seat === undefined && (!worker || entry.last === worker)) this.#close(entry);
    }
  }

  /**
   * @param {Entry} entry
   * @param {boolean} [serve] Whether its workers still get what has come by now.
   */
  #close(entry, serve = false) {
    // It stays for what comes back; the process ends soon.
    if (this.handover.isDone) return;
    clearTimeout(entry.replacement);
    this.#entries.delete(entry.key);
    for (const worker of entry.workers) worker.joined--;
    const { guards } = entry;
    if (!this.#guarded.isBorrowed && (guards.length === 0 || !this.#isLeaving)) entry.removeFile?.();
    if (entry.accepted && serve) this.acceptor.finishListener(entry.id);
    else if (entry.accepted) this.acceptor.closeListener(entry.id);
    else this.#native().closeFd(entry.id);
    if (this.#isLeaving) for (const { fd } of guards) this.#native().closeFd(fd);
    else if (entry.accepted && serve) this.#finishing.push(...guards);
    else for (const guard of guards) this.#guarded.release(guard);
  }

  /**
   * @param {Entry} entry
   * @returns {import('../native-types').Address | null} `null` for Unix sockets and shared ones.
   */
  address(entry) {
    return entry.accepted ? this.acceptor.address(entry.id) : null;
  }
}

module.exports = { Listeners };
