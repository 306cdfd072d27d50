'use strict';

// One supervised worker, from its fork to its end.

const EventEmitter = require('node:events');

const { coded } = require('../errors.js');

/**
 * The life of a worker, which only ever moves down this list:
 *
 * - `starting`: forked, not ready yet; gets no connections,
 * - `ready`: does its work,
 * - `retiring`: out of the rotation, finishes what it has,
 * - `exited`.
 *
 * @typedef {'starting' | 'ready' | 'retiring' | 'exited'} State
 */

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

/** What an idle board says: of a worker that has none. */
const NO_BOARD = Object.freeze({ taken: 0, active: 0, total: 0, queued: 0, turns: 0, runningFor: 0, utilization: 0, longestTurn: 0 });

/**
 * Emits `listening` when a server of its listens, `exit` when it has exited, `crashing` when it says that it will, `asked-to-leave` when somebody has asked it to:
 * `disconnect()` was called in it, or with `true`, it got a SIGTERM, which its whole group may have got.
 */
class Member extends EventEmitter {
  /** @type {State} */
  state = 'starting';
  startedAt = Date.now();
  /** Whether a server of its has ever listened. */
  listened = false;
  /** What it wrote last before it failed. */
  lastWords = '';
  /** @type {{ code: number | null, signal: string | null } | undefined} */
  end;
  /** Whether it was found hanging before. */
  hung = false;
  /** Why it could not be started. @type {Error | undefined} */
  startError;
  /** Why we ended it: what the kernel says of its end is then not the reason. @type {string | undefined} */
  #verdict;
  /** @type {Promise<Retirement> | undefined} */
  #retirement;
  /** Whether it has said that it will exit for an error. */
  #crashed = false;
  /** Whether there is nobody left who could take its connections. */
  #last = false;
  #moved = 0;
  #finished = 0;
  #cut = 0;
  #core;
  #options;

  /**
   * @param {import('../primary.js').Core} core
   * @param {Readonly<import('./options.js').Options>} options
   * @param {boolean} mustListen Whether other workers of this service have listened.
   */
  constructor(core, options, mustListen) {
    super();
    this.#core = core;
    this.#options = options;
    this.exited = new Promise((resolve) => {
      this.once('exit', resolve);
    });
    this.worker = this.#fork();
    /** @type {number | undefined} */
    this.pid = this.worker?.process.pid;
    this.ready = this.#untilReady(mustListen);
    // Whoever waits for it sees the error; nobody has to.
    this.ready.catch(() => {});
  }

  /** @returns {any} The worker; none when it could not even be tried. */
  #fork() {
    const { env, ready, drainTimeout, crash, signals } = this.#options;
    try {
      const worker = this.#core.fork(env, { supervised: { ready, drainTimeout, crash, signals }, held: true });
      this.#core.onControl(worker, (message) => this.#onControl(message));
      worker.on('error', () => {});
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
    }
  }

  /** @param {any} error */
  #onStartError(error) {
    this.#verdict = `could not be started: ${error.message}`;
    this.#onExit(null, null);
  }

  get uptime() {
    return Date.now() - this.startedAt;
  }

  /** Connections that were open in it when it ended. */
  get lost() {
    return this.worker ? this.#core.lost(this.worker) : 0;
  }

  /** What its board says. */
  get board() {
    return this.worker && this.state !== 'exited' ? this.#core.board(this.worker) : NO_BOARD;
  }

  /** In words: why it is no longer there, or will soon not be. */
  get reason() {
    if (this.#verdict !== undefined) return this.#verdict;
    if (!this.end) return 'crashed';
    const { code, signal } = this.end;
    return signal ? `was killed by ${signal}` : `exited with code ${code}`;
  }

  /**
   * @param {boolean} mustListen
   * @returns {Promise<void>}
   */
  #untilReady(mustListen) {
    const { ready, readyTimeout } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (/** @type {string | undefined} */ problem) => {
        clearTimeout(timer);
        // Told to leave meanwhile, it will not do any work.
        if (this.state !== 'starting' && problem === undefined) problem = 'left before it was ready';
        if (problem !== undefined) return reject(this.failure(problem));
        this.state = 'ready';
        this.#core.tell(this.worker, { act: 'ready' });
        return resolve();
      };
      const timer = setTimeout(() => {
        // A service none of whose workers ever listened does not listen: it is ready when it runs.
        if (ready === 'listening' && !mustListen && !this.listened) settle(undefined);
        else settle(this.#condemn(`was not ready after ${readyTimeout} ms`));
      }, readyTimeout);
      this.once('ready', () => settle(undefined));
      this.once('exit', () => settle(this.reason));
      this.worker?.once('listening', () => this.#onListening());
      this.worker?.once('online', () => ready === 'online' && this.emit('ready'));
      this.worker?.on('message', (/** @type {unknown} */ message) => ready === 'message' && message === 'ready' && this.emit('ready'));
    });
  }

  #onListening() {
    this.listened = true;
    this.emit('listening');
    if (this.#options.ready === 'listening') this.emit('ready');
  }

  /** @param {string} what */
  failure(what) {
    const words = this.lastWords ? `; its last output was:\n${this.lastWords}` : '';
    return coded(Error, 'ERR_RCLUSTER_NOT_READY', `Worker ${this.pid ?? '(without a process)'} ${what}${words}`);
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
    this.once('crashing', died);
    if (this.state !== 'ready') died();
    const alive = await survived;
    clearTimeout(timer);
    this.off('exit', died);
    this.off('crashing', died);
    if (!alive) throw this.failure(`${this.reason} within ${time} ms of being ready`);
  }

  /** @param {any} message */
  #onControl(message) {
    switch (message.act) {
      case 'own-listening': // With a socket of its own, which the primary knows nothing of.
        this.#onListening();
        break;
      case 'last-words':
        this.lastWords = String(message.text).trim();
        break;
      case 'crashing':
        this.lastWords = String(message.text).trim();
        this.#crashed = true;
        this.emit('crashing');
        break;
      case 'asked-to-leave':
        this.emit('asked-to-leave', message.bySignal === true);
        break;
      case 'drained':
        this.#moved = Number(message.moved) || 0;
        this.#finished = Number(message.finished) || 0;
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
    this.state = 'exited';
    this.emit('exit');
  }

  /** Lets it take its part of the connections. */
  release() {
    if (this.state === 'ready') this.#core.release(this.worker);
  }

  /**
   * Out of the rotation, idle connections to others, the rest finished, until `drainTimeout` is over. The `last` have
   * nobody to give anything to: whoever calls has to see to it that nothing new comes.
   *
   * @param {boolean} [last]
   * @returns {Promise<Retirement>}
   */
  retire(last = false) {
    if (this.#retirement && last && !this.#last) this.#tellToDrain(last);
    this.#last ||= last;
    return (this.#retirement ??= this.#retire());
  }

  async #retire() {
    const start = Date.now();
    let killed = false;
    if (this.state !== 'exited') {
      this.state = 'retiring';
      if (!this.#last && this.worker) this.#core.leave(this.worker, this.#crashed);
      this.#tellToDrain(this.#last);
      const timer = setTimeout(() => {
        killed = true;
        this.#cut = this.board.active;
        this.#condemn(`was not finished after ${this.#options.drainTimeout} ms`);
        this.kill('SIGKILL');
      }, this.#options.drainTimeout);
      await this.exited;
      clearTimeout(timer);
    }
    return { moved: this.#moved, finished: this.#finished, cut: this.#cut, killed, time: Date.now() - start };
  }

  /** One of the last: all that is for it is in its queue. */
  nothingComes() {
    if (this.worker && this.state !== 'exited') this.#core.tell(this.worker, { act: 'nothing-comes' });
  }

  /** @param {boolean} last */
  #tellToDrain(last) {
    if (this.worker) this.#core.tell(this.worker, { act: 'drain', timeout: this.#options.drainTimeout, last });
  }

  /**
   * Notes why it is ended.
   *
   * @param {string} verdict
   */
  #condemn(verdict) {
    this.#verdict ??= verdict;
    return verdict;
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

module.exports = { Member };
