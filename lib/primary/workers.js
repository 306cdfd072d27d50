'use strict';

// The workers of a primary: what is known of each besides what `Worker` shows, and what is done when something happens to one. What that
// is says `life.js`.

const EventEmitter = require('node:events');

const { malformed } = require('../errors.js');
const { onControl, onListen } = require('./control.js');
const { hears } = require('./heard.js');
const { Listeners } = require('./listeners.js');
const { startProcess } = require('./start.js');
const { Ties } = require('./ties.js');

/**
 * What belongs to something that has happened.
 *
 * @typedef {object} Details
 * @property {any} [message]
 * @property {number} [fd] The message's descriptor, or -1.
 * @property {number | null} [exitCode]
 * @property {string | null} [signalCode]
 * @property {boolean} [crashed] Whether another worker will take its place, although it leaves on purpose.
 * @property {string} [what] Which rule it broke.
 * @property {Error} [error] The same, as its channel says it.
 * @property {NodeJS.Signals} [signal]
 */

/**
 * What a supervisor forks a worker with.
 *
 * @typedef {object} Extra
 * @property {{ instance: number }} [supervised] What the worker needs to know of it, such as the number of its seat.
 * @property {boolean} [held] Out of the rotation at first.
 * @property {import('node:child_process').StdioOptions} [stdio]
 * @property {import('./start.js').ShowBoard} [showBoard]
 */

class Workers {
  /** Who is asked, if this primary is supervised. @type {import('./port.js').SupervisionHooks | undefined} */
  supervision;
  /** How connections are shared out; decided once. */
  policy;
  /** Of workers that have not ended. @type {Set<number>} */
  pids = new Set();
  listeners = new Listeners({
    onWarning: (text) => process.emitWarning(text, { code: 'RCLUSTER_DESCRIPTORS' }),
    onGivenUp: (number, reason) => this.#byNumber.has(number) && this.giveUp(this.#byNumber.get(number), reason),
    anotherComes: () => this.supervision?.isRecovering() === true,
  });
  /** Emits `disconnect` when no worker is left. */
  intercom = new EventEmitter();
  #cluster;
  #Worker;
  /** @type {WeakMap<object, Ties>} */
  #ties = new WeakMap();
  /** By the acceptor's number, as long as it is theirs. @type {Map<number, any>} */
  #byNumber = new Map();
  #lastId = 0;
  #actions = this.#makeActions();

  /** @param {any} cluster */
  constructor(cluster) {
    this.#cluster = cluster;
    this.#Worker = cluster.Worker;
    this.policy = cluster.schedulingPolicy;
  }

  /** Whether it is one of ours. A program may have made one of a process of its own. @param {any} worker */
  has(worker) {
    return this.#ties.has(worker);
  }

  /** @param {any} worker One of ours. */
  tiesOf(worker) {
    return /** @type {Ties} */ (this.#ties.get(worker));
  }

  /** It may have got a number in the acceptor. @param {any} worker */
  hasNumber(worker) {
    const { number } = this.tiesOf(worker);
    if (number !== undefined) this.#byNumber.set(number, worker);
  }

  /**
   * @param {NodeJS.ProcessEnv | undefined} env
   * @param {Extra} [extra]
   */
  fork(env, extra = /** @type {any} */ ({ __proto__: null })) {
    const cluster = this.#cluster;
    cluster.setupPrimary();
    const id = ++this.#lastId;
    const { process: child, link, opened } = startProcess(extra.stdio ? { ...cluster.settings, stdio: extra.stdio } : cluster.settings, env, id, extra.supervised, {
      onControl: (worker, message, fd) => onControl(this, worker, message, fd),
      onMalformed: (worker, error) => this.happen(worker, 'malformed', { error }),
    }, extra.showBoard);
    const worker = new this.#Worker({ id, process: child });
    const known = new Ties(link, () => this.listeners.acceptor, { held: extra.held, supervised: extra.supervised !== undefined, seat: extra.supervised?.instance });
    this.#ties.set(worker, known);
    worker.on('message', (/** @type {any} */ message, /** @type {any} */ handle) => {
      cluster.emit('message', worker, message, handle);
    });
    if (opened) {
      known.channel = opened.channel;
      opened.worker = worker;
      opened.isHeard = hears(child, worker, cluster);
    }
    // Programs, and Node for its warning, count listeners: there are no more of ours than of the built-in module's.
    if (child.pid !== undefined) this.pids.add(child.pid);
    else child.once('error', () => this.happen(worker, link ? 'unstarted' : 'unmade'));
    child.once('exit', (/** @type {number | null} */ exitCode, /** @type {string | null} */ signalCode) => {
      this.pids.delete(/** @type {number} */ (child.pid));
      known.channel?.processEnded();
      this.happen(worker, 'exit', { exitCode, signalCode });
    });
    child.once('disconnect', () => this.happen(worker, 'channelEnd'));
    process.nextTick(() => cluster.emit('fork', worker));
    cluster.workers[id] = worker;
    return worker;
  }

  /**
   * Something has happened to a worker (life.js): does what is to be done.
   *
   * @param {any} worker
   * @param {import('./life.js').Event} event
   * @param {Details} [details]
   */
  happen(worker, event, details = {}) {
    for (const action of this.tiesOf(worker).step(event)) this.#actions[action](worker, details, this.tiesOf(worker));
  }

  /** @returns {Record<import('./life.js').Action, (worker: any, details: Details, known: Ties) => void>} */
  #makeActions() {
    return {
      intend: (worker) => void (worker.exitedAfterDisconnect = true),
      answer: (_worker, { message }, known) => void known.tell({ act: 'reply', seq: message.seq }),
      tellToLeave: (_worker, _details, known) => void known.tell({ act: 'disconnect' }),
      join: (worker, { message }) => onListen(this, worker, message),
      accept: (_worker, { message }, known) => this.listeners.onAccepting(known, message.key),
      part: (_worker, { message }, known) => this.listeners.leave(known, message.key),
      disown: (_worker, { message }, known) => this.listeners.disown(known, message.key),
      move: (worker, { message, fd = -1 }, known) => {
        if (known.mayMove) this.listeners.move(known, message.key, fd, message.left >>> 0, message.said);
        else this.giveUp(worker, '"move" is not for it to say');
      },
      release: (_worker, _details, known) => {
        known.held = false;
        this.listeners.release(known);
      },
      endChannel: (_worker, { what = '' }, known) => known.channel?.giveUp(what),
      leaveAcceptor: (_worker, _details, known) => void this.#byNumber.delete(known.leaveAcceptor() ?? -1),
      closeLink: (_worker, _details, known) => void known.leaveAcceptor(),
      leaveListeners: (worker, { crashed = !worker.exitedAfterDisconnect }, known) => this.listeners.leaveAll(known, crashed),
      unlist: (worker) => this.remove(worker),
      unlistIfCut: (worker) => worker.isConnected() || this.remove(worker),
      kill: (worker, { signal = 'SIGTERM' }) => worker.process.kill(signal),
      emitOnline: (worker) => {
        worker.state = 'online';
        worker.emit('online');
        this.#cluster.emit('online', worker);
      },
      emitListening: (worker, { message: { addressType, address, port, fd } }) => {
        const info = { addressType, address, port, fd };
        worker.state = 'listening';
        worker.emit('listening', info);
        this.#cluster.emit('listening', worker, info);
      },
      emitDisconnect: (worker) => {
        worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
        worker.state = 'disconnected';
        worker.emit('disconnect');
        this.#cluster.emit('disconnect', worker);
      },
      emitExit: (worker, { exitCode, signalCode }, known) => {
        // Under supervision another one comes, unless this one has left on purpose.
        if (exitCode === 0 && (!this.supervision || worker.exitedAfterDisconnect)) this.listeners.closeAwaiting(known);
        worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
        worker.state = 'dead';
        worker.emit('exit', exitCode, signalCode);
        this.#cluster.emit('exit', worker, exitCode, signalCode);
      },
      report: (worker, details, known) => this.#report(worker, details, known),
      lookAround: () => this.#closeListenersIfAlone(),
    };
  }

  /**
   * The worker broke a rule, or cannot be reached by the acceptor: it has nothing more to say.
   *
   * @param {any} worker
   * @param {string} what
   * @param {boolean} [crashed] Whether its listeners wait for somebody to take its place.
   */
  giveUp(worker, what, crashed) {
    this.happen(worker, 'giveUp', { what, crashed });
  }

  /**
   * @param {any} worker
   * @param {Details} details
   * @param {Ties} known
   */
  #report(worker, { what = '', error = malformed(what) }, { supervised }) {
    if (supervised || worker.listenerCount('error') === 0) {
      process.emitWarning(`Worker ${worker.id}: ${error.message}`, { code: 'ERR_RCLUSTER_MALFORMED_MESSAGE' });
    }
    if (worker.listenerCount('error') > 0) worker.emit('error', error);
    // It may run on without a channel for as long as it likes; its place is for one that does not.
    if (supervised) worker.process.kill('SIGKILL');
  }

  /** @param {any} worker */
  remove(worker) {
    delete this.#cluster.workers[worker.id];
    if (Object.keys(this.#cluster.workers).length === 0) this.intercom.emit('disconnect');
  }

  /** With no worker left, and none forked by those who were just told, nobody will serve what waits. */
  #closeListenersIfAlone() {
    setImmediate(() => {
      // Under supervision one is sure to be forked.
      if (Object.keys(this.#cluster.workers).length === 0 && !this.supervision) this.listeners.closeAwaiting();
    });
  }
}

module.exports = { Workers };
