'use strict';

// Opening what workers ask for: by binding its address, from what others keep for us, or from a descriptor of this process.

const { bindPipe } = require('../node/net.js');
const { POLICIES } = require('./policies.js');
const { bindings, isPipe, isUdp, shortest } = require('./question.js');
const { takeFile } = require('../socket_file.js');

/** @typedef {import('./question.js').Question} Question */

/**
 * What has been opened.
 *
 * @typedef {object} Opened
 * @property {number} id The listener's id, or the descriptor that workers share; a negative errno when it cannot be.
 * @property {boolean} distributed Whether the kernel distributes over a socket for each worker.
 * @property {boolean} ours Whether we have bound it, rather than got the socket from somebody.
 * @property {string} [path] The name of a Unix socket.
 * @property {() => void} [removeFile] Removes the file of a Unix socket.
 * @property {import('./guarded.js').Guard[]} guards What of it the manager that started us keeps as well.
 */

/** The system's numbers of errors; the module is loaded when there is one. */
const errno = () => require('node:os').constants.errno;

/** UV_READABLE and UV_WRITABLE: the permissions that a Unix socket's file can be given for everybody. */
const READABLE = 1;
const WRITABLE = 2;

/**
 * @param {number} id A negative errno.
 * @returns {Opened}
 */
const notOpened = (id) => ({ id, distributed: false, ours: false, guards: [] });

class Opener {
  /**
   * Who is believed when it says first whom a connection is from: on what we bind, who has said nothing yet need not be accepted.
   *
   * @type {string[] | undefined}
   */
  senders;
  #native;
  #acceptor;
  #guarded;
  #isOurs;

  /**
   * @param {() => Pick<import('../native-types').Native, 'bindShared' | 'duplicateFd' | 'socketKind' | 'socketName'>} native
   * @param {() => Pick<import('../native-types').Acceptor, 'addSocket' | 'listen' | 'listenerFd'>} acceptor
   * @param {Pick<import('./guarded.js').Guarded, 'clearTheWay' | 'for' | 'guard' | 'release'>} guarded What others keep for us.
   * @param {(fd: number) => boolean} isOurs Whether a descriptor is one of those that we have opened for workers.
   */
  constructor(native, acceptor, guarded, isOurs) {
    this.#native = native;
    this.#acceptor = acceptor;
    this.#guarded = guarded;
    this.#isOurs = isOurs;
  }

  /**
   * @param {Question} question
   * @param {boolean} accepted
   * @param {number} policy
   * @returns {Opened} `id` is a negative errno when it cannot be.
   */
  open(question, accepted, policy) {
    if (question.fd !== null) {
      if (!this.#maySend(question, question.fd)) return notOpened(-errno().EINVAL);
      return this.#openAnew(question, accepted, policy);
    }
    const given = this.#guarded.for(question, accepted && policy === POLICIES.SCHED_REUSEPORT && !isPipe(question));
    if (given) return this.#openGiven(question, given, accepted, policy);
    let opened = this.#openAnew(question, accepted, policy);
    if (opened.id < 0 && opened.id === -errno().EADDRINUSE && this.#guarded.clearTheWay(question)) opened = this.#openAnew(question, accepted, policy);
    if (opened.id < 0) return opened;
    const copy = () => (accepted ? this.#acceptor().listenerFd(opened.id) : this.#native().duplicateFd(opened.id));
    this.#guarded.guard(question, opened.distributed, opened.guards, copy);
    return opened;
  }

  /**
   * @param {Question} question
   * @param {import('./guarded.js').Found} given
   * @param {boolean} accepted
   * @param {number} policy
   * @returns {Opened}
   */
  #openGiven(question, { fd, guards, removeFile }, accepted, policy) {
    /** @type {import('../native-types').Binding} */
    const binding = { fd, backlog: question.backlog };
    // What somebody else has bound stays as it is; of ours, a primary before us may have had it otherwise.
    if (guards.length > 0 && !isPipe(question) && !isUdp(question)) binding.deferAccept = this.#defers(accepted, policy);
    const id = accepted ? this.#acceptor().listen(binding, policy, this.senders) : this.#native().bindShared(binding);
    if (id < 0) for (const guard of guards) this.#guarded.release(guard);
    else for (const guard of guards.slice(1)) this.#acceptor().addSocket(id, guard.fd);
    const { path } = this.#native().socketName(fd) ?? {};
    const distributed = guards.length > 0 && accepted && policy === POLICIES.SCHED_REUSEPORT && path === undefined;
    return { id, distributed, ours: guards.length > 0, guards, removeFile, ...(path !== undefined && { path }) };
  }

  /**
   * @param {Question} question
   * @param {boolean} accepted
   * @param {number} policy
   * @returns {Opened}
   */
  #openAnew(question, accepted, policy) {
    if (isPipe(question)) return this.#openPipe(question, accepted, policy);
    let id = 0;
    let distributed = false;
    for (const binding of bindings(question)) {
      distributed = accepted && policy === POLICIES.SCHED_REUSEPORT && binding.port !== undefined;
      if (distributed) binding.reusePort = true;
      if (question.fd === null && !isUdp(question) && this.#defers(accepted, policy)) binding.deferAccept = true;
      id = accepted ? this.#acceptor().listen(binding, policy, this.senders) : this.#native().bindShared(binding);
      if (id >= 0 || id === -errno().EADDRINUSE) break;
    }
    return { id, distributed, ours: question.fd === null, guards: [] };
  }

  /**
   * Whether connections are accepted when something has come on them. Not from sockets that end with their workers: who has said nothing yet
   * would end with them.
   *
   * @param {boolean} accepted
   * @param {number} policy
   */
  #defers(accepted, policy) {
    return this.senders !== undefined && !(accepted && policy === POLICIES.SCHED_REUSEPORT);
  }

  /**
   * Whether a descriptor of this process is one that a worker may ask for by its number: a socket of that kind that its program
   * has opened, or whoever started it. What can be served from, the native part looks at.
   *
   * @param {Question} question
   * @param {number} fd
   */
  #maySend(question, fd) {
    const kind = this.#native().socketKind(fd);
    return kind !== null && (kind === 'udp') === isUdp(question) && !this.#isOurs(fd);
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
    if (!address) return notOpened(-errno().EINVAL);
    const pipe = bindPipe(shortest(address));
    if (typeof pipe === 'number') return notOpened(pipe);
    const mode = (readableAll ? READABLE : 0) | (writableAll ? WRITABLE : 0);
    const binding = { fd: pipe.fd, backlog };
    let id = mode === 0 ? 0 : pipe.fchmod(mode);
    if (id === 0) id = accepted ? this.#acceptor().listen(binding, policy, this.senders) : this.#native().bindShared(binding);
    if (id < 0) {
      pipe.close();
      return notOpened(id);
    }
    const opened = { id, distributed: false, ours: true, guards: [], path: this.#native().socketName(pipe.fd)?.path };
    const removeFile = address.startsWith('\0') ? undefined : (takeFile(pipe, address) ?? (() => pipe.close()));
    // An abstract one has no file, for which the handle would be needed.
    if (!removeFile) pipe.close();
    return { ...opened, removeFile };
  }
}

module.exports = { Opener, errno };
