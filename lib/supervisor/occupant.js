'use strict';

// One supervised worker, from its fork to its end.

const EventEmitter = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { ours } = require('../errors.js');
const { noStats } = require('../stats.js');
const { Countdown } = require('./countdown.js');
const life = require('./life.js');
const { Readiness } = require('./readiness.js');

/**
 * How a worker's retirement went.
 *
 * @typedef {object} Retirement
 * @property {number} moved Idle connections that other workers serve on.
 * @property {number} finished Connections that ended by themselves.
 * @property {number} cut Connections that were open when time was up.
 * @property {boolean} killed Whether it had to be killed at the deadline.
 * @property {number} time ms that it took.
 */

/**
 * What a new worker needs to know of the service.
 *
 * @typedef {object} Prospects
 * @property {number} instance The number of its place.
 * @property {import('./expectation.js').Expectation} expectation
 * @property {() => boolean} mustListen Whether it has failed when its time is over and it does not listen.
 * @property {() => number} patience ms that it may take at least, as others have taken so long.
 */

/** What an idle board says: of a worker that has none. */
const NO_BOARD = Object.freeze({ taken: 0, active: 0, total: 0, queued: 0, turns: 0, runningFor: 0, utilization: 0, longestTurn: 0 });

/** How long (ms) the end of a process may be seen after the end of its channel. */
const EXIT_TIME = 500;
/** And how long (ms) after the end of its process what it has said before may be read. */
const LAST_NEWS = 1000;

/** So much (characters) of its last words is kept. */
const MOST_WORDS = 8192;
/** So many sockets of a worker's own are counted. */
const MOST_NAMES = 1000;

/**
 * Emits `usable` when it does its work, or is taken to (see `running` in life.js), `failed` when it never will, `leaving` when it
 * is told to finish, `exit` when it has exited, `deserting` when its place is free though it is still there, `asked-to-leave` when
 * somebody has asked it to: `disconnect()` was called in it, or with `true`, it got a SIGTERM, which its whole group may have got.
 */
class Occupant extends EventEmitter {
  /** @type {life.State} */
  state = 'starting';
  startedAt = Date.now();
  /** When it began to do its work, or was taken to. @type {number | undefined} */
  usableAt;
  /** Whether a server of its has ever listened. */
  listened = false;
  /** What it listens on without the primary. @type {string[]} */
  own = [];
  /** What it wrote last before it failed. */
  lastWords = '';
  /** @type {{ code: number | null, signal: string | null } | undefined} */
  end;
  /** Whether it was found hanging before. */
  hung = false;
  /** Whether it says that it has got a SIGTERM. */
  gotSigterm = false;
  /** What it listened on when it was ready. */
  #firstAddresses = new Set();
  /** Why it could not be started. @type {Error | undefined} */
  startError;
  /** Why we ended it: what the kernel says of its end is then not the reason. @type {string | undefined} */
  #verdict;
  /** What was wrong with its channel. @type {Error | undefined} */
  #channelError;
  /** @type {Promise<Retirement> | undefined} */
  #retirement;
  /** Who has taken its place. @type {Occupant | undefined} */
  #heir;
  /** Whether it leaves for an error, so that another one comes. */
  #crashed = false;
  /** Whether there is nobody left who could take its connections. */
  #last = false;
  #moved = 0;
  #finished = 0;
  #cut = 0;
  #killed = false;
  #port;
  #options;
  #prospects;
  #outputs;
  #readiness;

  /**
   * @param {import('../primary/port.js').Port} port
   * @param {Readonly<import('./options.js').Options>} options
   * @param {Prospects} prospects
   * @param {((seat: number) => import('./outputs.js').Wires | undefined)} [outputs] Where somebody reads what each worker writes.
   */
  constructor(port, options, prospects, outputs) {
    super();
    this.#port = port;
    this.#options = options;
    this.#prospects = prospects;
    this.#outputs = outputs;
    this.exited = new Promise((resolve) => {
      this.once('exit', resolve);
    });
    /** Resolves when it does its work, or may: see `running` in life.js. @type {Promise<void>} */
    this.usable = new Promise((resolve, reject) => {
      this.once('usable', resolve);
      this.once('failed', reject);
    });
    // Whoever waits for it sees the error; nobody has to.
    this.usable.catch(() => {});
    this.worker = this.#fork();
    /** @type {number | undefined} */
    this.pid = this.worker?.process.pid;
    this.#readiness = new Readiness(this, options, prospects, (event, verdict) => {
      if (verdict !== undefined) this.#condemn(verdict);
      this.#live(event);
    });
  }

  /** @returns {any} The worker; none when it could not even be tried. */
  #fork() {
    const { env, ready, drainTimeout, settleTime, crash, signals, move, keepAliveTimeout, countRequests, proxyProtocol } = this.#options;
    const { instance } = this.#prospects;
    const wires = this.#outputs?.(instance);
    /** @type {any} */
    let worker;
    try {
      const supervised = { ready, drainTimeout, settleTime, crash, signals, move, keepAliveTimeout, countRequests, proxyProtocol, instance };
      const extra = { supervised, held: true, stdio: wires?.stdio, showBoard: wires?.showBoard };
      worker = this.#port.fork({ NODE_APP_INSTANCE: `${instance}`, ...env }, extra);
      worker.instance = instance;
      this.#port.onControl(worker, (message) => this.#onControl(message));
      worker.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
        if (`${error.code}`.startsWith('ERR_RCLUSTER_')) this.#channelError ??= error;
      });
      worker.once('disconnect', () => this.#onUnlinked());
      worker.process.once('exit', (/** @type {any} */ code, /** @type {any} */ signal) => this.#onExit(code, signal));
      // A process that could not be started has no exit.
      worker.process.once('error', (/** @type {Error} */ error) => {
        if (worker.process.pid === undefined) this.#onStartError(error);
      });
      return worker;
    } catch (error) {
      this.startError = /** @type {Error} */ (error);
      setImmediate(() => this.#onStartError(this.startError));
      return undefined;
    } finally {
      wires?.started(worker?.process.pid);
    }
  }

  /** @param {any} error */
  #onStartError(error) {
    this.#condemn(`could not be started: ${error.message}`);
    this.#onExit(null, null);
  }

  /**
   * Something has happened to it.
   *
   * @param {life.Event} event
   */
  #live(event) {
    const { state, actions } = life.next(this.state, event);
    this.state = state;
    for (const action of actions) this.#actions[action]();
  }

  /** @type {Record<life.Action, () => void>} */
  #actions = {
    begin: () => {
      this.usableAt ??= Date.now();
      for (const { key } of this.addresses) this.#firstAddresses.add(key);
      this.#port.tell(this.worker, { act: 'ready' });
      this.emit('usable');
    },
    presume: () => {
      this.usableAt = Date.now();
      this.emit('usable');
    },
    fail: () => this.emit('failed', this.failure(this.#verdict ?? (this.end ? this.reason : 'left before it was ready'))),
    leave: () => void this.#retire(),
    desert: () => this.emit('deserting'),
    kill: () => this.kill('SIGKILL'),
    end: () => this.emit('exit'),
  };

  get uptime() {
    return Date.now() - this.startedAt;
  }

  /** Connections that were open in it when it ended. */
  get lost() {
    return this.worker ? this.#port.lost(this.worker) : 0;
  }

  /** The same as its board and more, for people. */
  get stats() {
    return this.worker ? this.#port.stats(this.worker) : noStats();
  }

  /** Asks what its app counts itself: `app-metrics` is emitted with the answer. @param {number} question */
  askForMetrics(question) {
    if (this.worker) this.#port.tell(this.worker, { act: 'app-metrics', question });
  }

  /** What its board says. */
  get board() {
    return this.worker && this.state !== 'exited' ? this.#port.board(this.worker) : NO_BOARD;
  }

  /** What it listens on. */
  get addresses() {
    return this.worker ? this.#port.listenedOn(this.worker) : [];
  }

  /** The same without ports of the system's choice that it has opened on the way. */
  get lastingAddresses() {
    return this.addresses.filter(({ key, fixed }) => fixed || this.#firstAddresses.has(key));
  }

  /** Whether it runs, and nobody has told it to end. */
  get isUsable() {
    return this.state === 'ready' || this.state === 'running';
  }

  /** In words: why it is no longer there, or will soon not be. */
  get reason() {
    if (this.#verdict !== undefined) return this.#verdict;
    // Whoever broke it and then exits has not just exited.
    if (this.#channelError) return `has lost its channel: ${this.#channelError.message}`;
    if (!this.end) return 'crashed';
    const { code, signal } = this.end;
    if (this.gotSigterm && !signal) return `got SIGTERM and exited with code ${code}`;
    return signal ? `was killed by ${signal}` : `exited with code ${code}`;
  }

  /** @param {string} what */
  failure(what) {
    const words = this.lastWords ? `; its last output was:\n${this.lastWords}` : '';
    return ours('ERR_RCLUSTER_NOT_READY', `Worker ${this.pid ?? '(without a process)'} ${what}${words}`);
  }

  /**
   * Resolves when it has stayed alive for so long (ms), or `enough` has come true; rejects when it dies before.
   *
   * @param {number} time
   * @param {Promise<unknown>} enough
   */
  async survive(time, enough) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    /** @type {(value: boolean) => void} */
    let settle = () => {};
    const survived = new Promise((/** @type {(value: boolean) => void} */ resolve) => {
      settle = resolve;
      timer = setTimeout(resolve, time, true);
      void enough.then(() => resolve(true));
    });
    const died = () => settle(false);
    this.once('exit', died);
    this.once('deserting', died);
    if (!this.isUsable) died();
    const alive = await survived;
    clearTimeout(timer);
    this.off('exit', died);
    this.off('deserting', died);
    if (!alive) throw this.failure(`${this.reason} within ${time} ms of being ready`);
  }

  /** @param {any} message */
  #onControl(message) {
    switch (message.act) {
      case 'own-listening': // With sockets of its own, which the primary knows nothing of.
        this.own = `${message.addresses ?? ''}`.split(', ', MOST_NAMES).filter(Boolean);
        if (this.own.length > 0) this.#readiness.onListening();
        break;
      case 'last-words':
        this.lastWords = String(message.text).trim().slice(-MOST_WORDS);
        break;
      case 'crashing':
        this.lastWords = String(message.text).trim().slice(-MOST_WORDS);
        this.#crashed = true;
        this.#live('crashing');
        break;
      case 'asked-to-leave':
        this.gotSigterm ||= message.bySignal === true;
        this.emit('asked-to-leave', message.bySignal === true);
        break;
      case 'drained':
        this.#moved = Number(message.moved) || 0;
        this.#finished = Number(message.finished) || 0;
        break;
      case 'app-metrics-answer':
        this.emit('app-metrics', message);
        break;
      default:
    }
  }

  /**
   * @param {number | null} code
   * @param {string | null} signal
   */
  #onExit(code, signal) {
    if (this.end) return;
    this.end = { code, signal };
    this.#live('exit');
  }

  /** Its channel has ended: a moment later its process should have, too. */
  #onUnlinked() {
    const countdown = new Countdown(EXIT_TIME, () => {
      if (!this.isUsable && this.state !== 'starting') return;
      if (!this.#channelError) this.#condemn('has lost its channel');
      this.#crashed = true;
      this.#live('unlinked');
    });
    this.once('exit', () => countdown.stop());
  }

  /** What it listens on without the primary may have changed: asks it. */
  askForOwn() {
    if (this.worker && this.state !== 'exited') this.#port.tell(this.worker, { act: 'own-listening' });
  }

  /** Lets it take its part of the connections. */
  release() {
    if (this.isUsable) this.#port.release(this.worker);
  }

  /**
   * Out of the rotation, idle connections to others, the rest finished, until `drainTimeout` is over. The `last` have
   * nobody to give anything to: whoever calls has to see to it that nothing new comes.
   *
   * @param {object} [how]
   * @param {boolean} [how.last]
   * @param {Occupant} [how.heir] Who has taken its place, and gets what it has.
   * @returns {Promise<Retirement>}
   */
  retire({ last = false, heir } = {}) {
    if (this.#retirement && last && !this.#last) this.#tellToDrain(last);
    this.#last ||= last;
    this.#heir ??= heir;
    this.#live('retire');
    return this.#retire();
  }

  #retire() {
    return (this.#retirement ??= this.#leave());
  }

  async #leave() {
    const start = Date.now();
    if (this.state !== 'exited') {
      this.emit('leaving');
      if (!this.#last && this.worker) this.#port.leave(this.worker, this.#crashed, this.#heir?.worker);
      this.#tellToDrain(this.#last);
      const countdown = new Countdown(this.#options.drainTimeout, () => {
        this.#killed = true;
        this.#cut = this.board.active;
        this.#condemn(`was not finished after ${this.#options.drainTimeout} ms`);
        this.#live('late');
      });
      await this.exited;
      countdown.stop();
      await this.#lastNews();
    }
    return { moved: this.#moved, finished: this.#finished, cut: this.#cut, killed: this.#killed, time: Date.now() - start };
  }

  /** What it has said of its connections may be read after its exit, until its channel ends; that a grandchild may keep. */
  async #lastNews() {
    const { worker } = this;
    if (!worker?.isConnected()) return;
    const ended = new Promise((resolve) => {
      worker.once('disconnect', resolve);
    });
    await Promise.race([ended, sleep(LAST_NEWS, undefined, { ref: false })]);
  }

  /** The service ends soon: its clients are told so with every answer. */
  makeLastCall() {
    if (this.isUsable) this.#port.tell(this.worker, { act: 'last-call' });
  }

  /** One of the last: all that is for it is in its queue. */
  nothingComes() {
    if (this.worker && this.state !== 'exited') this.#port.tell(this.worker, { act: 'nothing-comes' });
  }

  /** @param {boolean} last */
  #tellToDrain(last) {
    if (this.worker) this.#port.tell(this.worker, { act: 'drain', timeout: this.#options.drainTimeout, last });
  }

  /**
   * Notes why it is ended.
   *
   * @param {string} verdict
   */
  #condemn(verdict) {
    this.#verdict ??= verdict;
  }

  /**
   * @param {NodeJS.Signals} signal
   * @param {string} [verdict] Why.
   */
  kill(signal, verdict) {
    if (this.state === 'exited') return;
    if (verdict !== undefined) this.#condemn(verdict);
    this.worker?.process.kill(signal);
  }
}

module.exports = { Occupant };
