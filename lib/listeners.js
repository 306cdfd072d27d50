'use strict';

// What the workers listen on: one entry per address, shared by all workers that ask for it.

const path = require('node:path');

const { load } = require('./native.js');
const { POLICIES } = require('./policies.js');

/** The system's numbers of errors; the module is loaded when there is one. */
const errno = () => require('node:os').constants.errno;

/** UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY, UV_UDP_REUSEADDR, as in `flags` of a question. */
const IPV6_ONLY = 1;
const UDP_REUSE_ADDRESS = 4;
const UDP_REUSE_PORT = 8;

/** UV_READABLE and UV_WRITABLE: the permissions that a Unix socket's file can be given for everybody. */
const READABLE = 1;
const WRITABLE = 2;

/** Bytes of a Unix socket's address, with its end. */
const PIPE_NAME_LIMIT = 108;

/** As in Node. */
const DEFAULT_BACKLOG = 511;

/** How often (ms) we look whether the last connections have been handed over. */
const LOOK = 10;

/** How long (ms) a listener outlives its last worker when that has died: its replacement finds what came meanwhile. */
const LINGER = 5000;

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
 * @typedef {object} Entry
 * @property {string} key
 * @property {boolean} accepted Whether the acceptor accepts; if not, `id` is a descriptor that workers share.
 * @property {boolean} distributed Whether the kernel distributes over a socket for each worker.
 * @property {number} id The listener's id or the shared descriptor.
 * @property {number} backlog
 * @property {unknown} data What the first server said of itself (the key of TLS tickets).
 * @property {any} [pipe] Node's handle of a Unix socket; closing it removes the file.
 * @property {Set<any>} workers
 * @property {Set<any>} accepting Those whose servers have the answer, and take connections.
 * @property {number} [turn] Whose turn it is to get a connection that moves.
 * @property {any} [last] The worker that was the last to leave.
 * @property {NodeJS.Timeout} [linger]
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

/** @param {Question} question */
function isUdp({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/** @param {Question} question */
function isPipe({ port, fd }) {
  return fd == null && !(port >= 0);
}

/**
 * What to bind, in the order of trying, if it is no Unix socket.
 *
 * @param {Question} question
 * @returns {import('./native-types').Binding[]}
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
 * The name of a Unix socket has to fit in its address.
 *
 * @param {string} file
 */
function shortest(file) {
  if (file.startsWith('\0') || Buffer.byteLength(file) < PIPE_NAME_LIMIT) return file;
  const relative = path.relative(process.cwd(), file);
  return relative.length < file.length ? relative : file;
}

class Listeners {
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {(text: string) => void} */
  #onWarning;
  /** @type {import('./native-types').Acceptor | undefined} */
  #acceptor;

  #anotherComes;

  /**
   * @param {(text: string) => void} onWarning
   * @param {() => boolean} anotherComes Whether a worker is sure to take the place of one that has died.
   */
  constructor(onWarning, anotherComes) {
    this.#onWarning = onWarning;
    this.#anotherComes = anotherComes;
  }

  /** Sockets that whoever started us has opened. @type {{ fd: number, address: import('./native-types').SocketName }[]} */
  #inherited = [];

  /** @param {number[]} fds Listening sockets to use instead of binding their addresses. */
  useSockets(fds) {
    this.#inherited = fds.flatMap((fd) => {
      const address = load().socketName(fd);
      return address ? [{ fd, address }] : [];
    });
  }

  /**
   * The socket that was inherited for what a worker asks for, if there is one.
   *
   * @param {Question} question
   */
  #inheritedFor(question) {
    const { address, port } = question;
    if (isUdp(question)) return undefined;
    return this.#inherited.find(({ address: name }) =>
      port >= 0 ? name.port === port && port > 0 && (!address || sameAddress(name.address, address)) : name.path !== undefined && path.resolve(name.path) === address,
    );
  }

  /** Started when it is first needed. */
  get acceptor() {
    return (this.#acceptor ??= new (load().Acceptor)(this.#onWarning));
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
    const question = typed(asked);
    const key = [question.address, question.port, question.addressType, question.fd, question.index].join(':');
    let entry = this.#entries.get(key);
    if (!entry) {
      const accepted = policy !== POLICIES.SCHED_NONE && !isUdp(question);
      const opened = this.#open(question, accepted, policy);
      if (opened.id < 0) return { errno: opened.id };
      const backlog = question.backlog > 0 ? question.backlog : DEFAULT_BACKLOG;
      entry = { key, accepted, ...opened, backlog, data: null, workers: new Set(), accepting: new Set() };
      this.#entries.set(key, entry);
    }
    clearTimeout(entry.linger);
    entry.data ??= question.data;
    entry.workers.add(worker);
    return { errno: 0, entry };
  }

  /**
   * The worker's server is ready: what came before that would come back. Now it gets its part.
   *
   * @param {any} worker
   * @param {string} key
   */
  onAccepting(worker, key) {
    const entry = this.#entries.get(key);
    if (!entry?.accepted || !entry.workers.has(worker)) return;
    entry.accepting.add(worker);
    if (!worker.held) this.acceptor.addMember(entry.id, worker.slot());
  }

  /**
   * A worker that was kept out of the rotation takes its part.
   *
   * @param {any} worker
   */
  release(worker) {
    for (const entry of this.#entries.values()) {
      if (!entry.accepted || !entry.workers.has(worker)) continue;
      if (entry.accepting.has(worker)) this.acceptor.addMember(entry.id, worker.slot());
      this.withOwnSocket(worker, entry, (fd) => {
        if (fd >= 0) worker.channel.sendControl({ act: 'own', listener: entry.id, backlog: entry.backlog }, fd);
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
    const wanted = entry.distributed && !worker.held;
    const fd = wanted ? this.acceptor.ownSocket(entry.id, worker.slot(), entry.backlog) : -1;
    send(Math.max(fd, -1));
    if (fd >= 0) load().closeFd(fd);
  }

  /**
   * The worker cannot use the socket of its own.
   *
   * @param {any} worker
   * @param {string} key
   */
  disown(worker, key) {
    const entry = this.#entries.get(key);
    if (entry?.distributed) this.acceptor.disown(entry.id, worker.slot());
  }

  /**
   * A connection that a worker which is leaving hands on. Without anybody to take it, it is closed by the caller.
   *
   * @param {any} from
   * @param {string} key
   * @param {number} fd
   * @param {number} left How long it may stay idle.
   */
  move(from, key, fd, left) {
    const entry = this.#entries.get(key);
    const all = entry ? [...entry.workers].filter((worker) => worker !== from) : [];
    const released = all.filter((worker) => !worker.held);
    const others = released.length > 0 ? released : all;
    if (!entry || !load().isConnection(fd) || others.length === 0) return;
    entry.turn = ((entry.turn ?? 0) + 1) % others.length;
    others[entry.turn].channel.sendControl({ act: 'adopt', key, left }, fd);
  }

  /**
   * @param {Question} question
   * @param {boolean} accepted
   * @param {number} policy
   * @returns {{ id: number, distributed: boolean }} `id` is a negative errno when it cannot be.
   */
  #open(question, accepted, policy) {
    const inherited = this.#inheritedFor(question);
    if (!inherited && isPipe(question)) return this.#openPipe(question, accepted, policy);
    let id = 0;
    let distributed = false;
    for (const binding of inherited ? [{ fd: inherited.fd, backlog: question.backlog }] : bindings(question)) {
      distributed = accepted && policy === POLICIES.SCHED_REUSEPORT && binding.port !== undefined;
      if (distributed) binding.reusePort = true;
      id = accepted ? this.acceptor.listen(binding, policy) : load().bindShared(binding);
      if (id >= 0 || id === -errno().EADDRINUSE) break;
    }
    return { id, distributed };
  }

  /**
   * Node itself binds a Unix socket. Its versions differ in what becomes of a name that is too long, in how much of its
   * address an abstract one fills, and in the permissions that `readableAll` and `writableAll` give.
   *
   * @param {Question} question
   * @param {boolean} accepted
   * @param {number} policy
   */
  #openPipe({ address, backlog, readableAll, writableAll }, accepted, policy) {
    if (!address) return { id: -errno().EINVAL, distributed: false };
    // @ts-expect-error: not in the types.
    const pipe = require('node:net')._createServerHandle(shortest(address), -1, -1);
    if (typeof pipe === 'number') return { id: pipe, distributed: false };
    const mode = (readableAll ? READABLE : 0) | (writableAll ? WRITABLE : 0);
    const binding = { fd: pipe.fd, backlog };
    let id = mode === 0 ? 0 : pipe.fchmod(mode);
    if (id === 0) id = accepted ? this.acceptor.listen(binding, policy) : load().bindShared(binding);
    if (id < 0) pipe.close();
    return { id, distributed: false, pipe };
  }

  /**
   * The worker has closed the server that has this key.
   *
   * @param {any} worker
   * @param {string} key
   */
  leave(worker, key) {
    const entry = this.#entries.get(key);
    if (entry) this.#leave(entry, worker, false);
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
    const { setTimeout: sleep } = require('node:timers/promises');
    while (this.#acceptor?.isFinishing()) await sleep(LOOK);
  }

  /**
   * @param {Entry} entry
   * @param {any} worker
   * @param {boolean} died
   */
  #leave(entry, worker, died) {
    if (!entry.workers.delete(worker)) return;
    entry.accepting.delete(worker);
    if (entry.accepted) this.acceptor.removeMember(entry.id, worker.slot());
    if (entry.workers.size > 0) return;
    entry.last = worker;
    if (died && entry.accepted) this.#linger(entry);
    else this.#close(entry);
  }

  /**
   * Keeps the listener open for a while: for another worker, which finds what came meanwhile.
   *
   * @param {Entry} entry
   */
  #linger(entry) {
    entry.linger = setTimeout(() => (this.#anotherComes() ? this.#linger(entry) : this.#close(entry)), LINGER).unref();
  }

  /**
   * Closes what only waits for a worker that may come, as there will be none: all of it, or what this worker left.
   *
   * @param {any} [worker]
   */
  closeLingering(worker) {
    for (const entry of [...this.#entries.values()]) {
      if (entry.workers.size === 0 && (!worker || entry.last === worker)) this.#close(entry);
    }
  }

  /**
   * @param {Entry} entry
   * @param {boolean} [serve] Whether its workers still get what has come by now.
   */
  #close(entry, serve = false) {
    clearTimeout(entry.linger);
    this.#entries.delete(entry.key);
    entry.pipe?.close();
    if (entry.accepted && serve) this.acceptor.finishListener(entry.id);
    else if (entry.accepted) this.acceptor.closeListener(entry.id);
    else load().closeFd(entry.id);
  }

  /**
   * @param {Entry} entry
   * @returns {import('./native-types').Address | null} `null` for Unix sockets and shared ones.
   */
  address(entry) {
    return entry.accepted ? this.acceptor.address(entry.id) : null;
  }
}

module.exports = { Listeners };
