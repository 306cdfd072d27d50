'use strict';

// One supervised worker, from its fork to its end.

const EventEmitter = require('node:events');

const { coded } = require('../errors.js');

/**
 * The life of a worker:
 *
 * - `starting`: forked, not ready yet,
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

/** Emits `exit`, when it has exited. */
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
  /** @type {Promise<Retirement> | undefined} */
  #retirement;
  #moved = 0;
  #finished = 0;
  #core;
  #options;
  #deadlineReached = false;

  /**
   * @param {import('../primary.js').Core} core
   * @param {Readonly<import('./options.js').Options>} options
   * @param {{ held: boolean, mustListen: boolean }} start `held` keeps it out of the rotation until `release`;
   *   `mustListen` says that other workers of this service have listened.
   */
  constructor(core, options, { held, mustListen }) {
    super();
    this.#core = core;
    this.#options = options;
    const { ready, drainTimeout, crash, signals } = options;
    this.worker = core.fork(options.env, { supervised: { ready, drainTimeout, crash, signals }, held });
    this.pid = this.worker.process.pid;
    this.exited = new Promise((resolve) => {
      this.once('exit', () => resolve(this.end));
    });
    core.onControl(this.worker, (message) => this.#onControl(message));
    this.ready = this.#untilReady(mustListen);
    // Whoever waits for it sees the error; nobody has to.
    this.ready.catch(() => {});
    this.worker.on('error', () => {});
    this.worker.process.once('exit', (/** @type {any} */ code, /** @type {any} */ signal) => this.#onExit(code, signal));
    // A process that could not even be started has no exit.
    this.worker.process.once('error', (/** @type {Error} */ error) => {
      if (this.pid !== undefined) return;
      this.lastWords = error.message;
      this.#onExit(null, null);
    });
  }

  get uptime() {
    return Date.now() - this.startedAt;
  }

  /** In words: why it is no longer there. */
  get reason() {
    if (!this.end) return undefined;
    const { code, signal } = this.end;
    if (signal) return `killed by ${signal}`;
    return code === null ? 'could not be started' : `exited with code ${code}`;
  }

  /**
   * @param {boolean} mustListen
   * @returns {Promise<void>}
   */
  #untilReady(mustListen) {
    const { ready, readyTimeout } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (/** @type {Error | undefined} */ error) => {
        clearTimeout(timer);
        if (error) return reject(error);
        if (this.state === 'starting') this.state = 'ready';
        this.#core.tell(this.worker, { act: 'ready' });
        return resolve();
      };
      const timer = setTimeout(() => {
        // A service none of whose workers ever listened does not listen: it is ready when it runs.
        if (ready === 'listening' && !mustListen && !this.listened) settle(undefined);
        else settle(this.#failure(`was not ready after ${readyTimeout} ms`));
      }, readyTimeout);
      this.once('ready', () => settle(undefined));
      this.once('exit', () => settle(this.#failure(/** @type {string} */ (this.reason))));
      this.worker.once('listening', () => {
        this.listened = true;
        if (ready === 'listening') this.emit('ready');
      });
      this.worker.once('online', () => ready === 'online' && this.emit('ready'));
      this.worker.on('message', (/** @type {unknown} */ message) => ready === 'message' && message === 'ready' && this.emit('ready'));
    });
  }

  /** @param {string} what */
  #failure(what) {
    const words = this.lastWords ? `; its last output was:\n${this.lastWords}` : '';
    return coded(Error, 'ERR_RCLUSTER_NOT_READY', `Worker ${this.pid} ${what}${words}`);
  }

  /** @param {any} message */
  #onControl(message) {
    switch (message.act) {
      case 'own-listening': // With a socket of its own, which the primary knows nothing of.
        this.listened = true;
        if (this.#options.ready === 'listening') this.emit('ready');
        break;
      case 'last-words':
        this.lastWords = String(message.text).trim();
        break;
      case 'crashing':
        this.lastWords = String(message.text).trim();
        this.emit('crashing');
        break;
      case 'asked-to-leave':
        this.emit('asked-to-leave');
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
    this.#core.release(this.worker);
  }

  /**
   * Out of the rotation, idle connections to others, the rest finished, until `drainTimeout` is over.
   *
   * @returns {Promise<Retirement>}
   */
  retire() {
    return (this.#retirement ??= this.#retire());
  }

  async #retire() {
    const start = Date.now();
    if (this.state !== 'exited') {
      this.state = 'retiring';
      this.#core.leave(this.worker);
      this.#core.tell(this.worker, { act: 'drain', timeout: this.#options.drainTimeout });
      const timer = setTimeout(() => this.#cut(), this.#options.drainTimeout);
      await this.exited;
      clearTimeout(timer);
    }
    return {
      moved: this.#moved,
      finished: this.#finished,
      cut: this.#deadlineReached ? this.#core.board(this.worker).active : 0,
      killed: this.#deadlineReached,
      time: Date.now() - start,
    };
  }

  #cut() {
    this.#deadlineReached = true;
    this.kill('SIGKILL');
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    if (this.state !== 'exited') this.worker.process.kill(signal);
  }
}

module.exports = { Member };
