'use strict';

// Keeps a service running: so many workers, replaced when they die, hang or grow, and all of them on a reload.

const EventEmitter = require('node:events');

const { coded } = require('../errors.js');
const { CrashLoop } = require('./backoff.js');
const { Member } = require('./member.js');
const options = require('./options.js');
const { reloadAll } = require('./reload.js');
const { Seat } = require('./seat.js');
const { inheritedSockets, notifyManager, reapOrphans, withoutManagerVariables } = require('./service_manager.js');
const { handleSignals } = require('./signals.js');
const { Watchdog } = require('./watchdog.js');

/** Emits `ready`, `restart`, `hang`, `memory`, `crash-loop`, `reload`, `stopped` and others: see index.d.ts. */
class Supervisor extends EventEmitter {
  #core;
  #options;
  /** @type {Seat[]} */
  #seats = [];
  #lastSeat = 0;
  /** All workers that have not exited, those that are leaving included. @type {Set<Member>} */
  #alive = new Set();
  #crashLoop;
  /** @type {Watchdog} */
  #watchdog;
  /** Whether any worker has ever been ready, and whether any has ever listened. */
  #everReady = false;
  #everListened = false;
  #allWereReady = false;
  /** @type {Promise<import('./reload.js').ReloadReport> | undefined} */
  #reloading;
  /** @type {Promise<void> | undefined} */
  #stopping;
  /** @type {'running' | 'stopping' | 'stopped'} */
  #state = 'running';
  /** @type {Promise<void>} */
  #firstReady;
  #resolveReady = () => {};
  /** @type {(error: Error) => void} */
  #rejectReady = () => {};
  /** @type {import('./seat.js').Service} */
  #service;

  /**
   * @param {import('../primary.js').Core} core
   * @param {unknown} given
   */
  constructor(core, given) {
    super();
    this.#core = core;
    this.#options = options.parse(given);
    this.#crashLoop = new CrashLoop(this.#options.restart);
    this.#service = {
      options: this.#options,
      newMember: () => this.#newMember(),
      isStopping: () => this.#stopping !== undefined,
      onReady: () => this.#onReady(),
      onCrash: (member) => this.#onCrash(member),
      tell: (event, payload) => void this.emit(event, payload),
    };
    this.#firstReady = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    handled(this.#firstReady);
    const manager = withoutManagerVariables(process.env);
    core.setup(this.#options.settings, this.#options.policy);
    core.useSockets(inheritedSockets(manager));
    this.#start();
    notifyManager(this, manager);
    reapOrphans(core.pids);
    if (this.#options.signals) this.once('stopped', handleSignals(this));
    core.setHooks({
      one: (worker) => this.#onDisconnectAsked(worker),
      all: () => this.stop(),
      isRecovering: () => !this.#stopping && !this.#seats.every(({ member }) => member?.state === 'ready'),
    });
    this.#watchdog = new Watchdog(core, this.#options, {
      members: () => this.#seats.flatMap(({ member }) => (member?.state === 'ready' ? [member] : [])),
      onHang: (member, time) => this.#onHang(member, time),
      onMemory: (member, bytes) => this.#onMemory(member, bytes),
    });
  }

  /** What no worker can be started with is for the caller to hear, before anything else has begun. */
  #start() {
    const error = this.#addSeat().startError;
    if (error) {
      this.#seats[0].abandon();
      throw error;
    }
    while (this.#seats.length < this.#options.workers) this.#addSeat();
  }

  /** The options in force, with their defaults. */
  get options() {
    return this.#options;
  }

  /**
   * Resolves when all workers are ready for the first time; rejects when they die again and again before any of them
   * ever was.
   */
  whenReady() {
    return this.#firstReady;
  }

  #addSeat() {
    const seat = new Seat(++this.#lastSeat, this.#service);
    this.#seats.push(seat);
    return seat.fill();
  }

  #newMember() {
    const member = new Member(this.#core, this.#options, this.#everListened);
    this.#alive.add(member);
    member.once('listening', () => (this.#everListened = true));
    member.once('exit', () => this.#alive.delete(member));
    return member;
  }

  #onReady() {
    this.#everReady = true;
    this.#lookWhetherAllAreReady();
  }

  #lookWhetherAllAreReady() {
    if (this.#allWereReady || this.#stopping || !this.#seats.every(({ member }) => member?.state === 'ready')) return;
    this.#allWereReady = true;
    this.#resolveReady();
    this.emit('ready');
  }

  /** @param {Member} member */
  #onCrash({ pid, reason, lastWords }) {
    const count = this.#crashLoop.crashed(Date.now(), this.#everReady);
    if (count === 0) return;
    const fatal = !this.#everReady;
    const { window } = this.#options.restart;
    // The line that names the error; the rest has been printed by the worker itself.
    const line = lastWords.split('\n').find((text) => /Error\b/.test(text)) ?? lastWords.split('\n').at(-1);
    const words = line ? `: ${line}` : '';
    const when = fatal ? 'before any was ready' : `within ${window / 1000} s`;
    const error = coded(Error, 'ERR_RCLUSTER_CRASH_LOOP', `${count} workers died ${when}; the last, ${pid}, ${reason}${words}`);
    if (fatal) {
      this.#rejectReady(error);
      void this.stop();
    }
    this.emit('crash-loop', { fatal, error });
  }

  /**
   * @param {Member} member
   * @param {number} time
   */
  #onHang(member, time) {
    const { hangSignal } = this.#options;
    // Whoever survives the one dies of the other.
    member.kill(member.hung ? 'SIGKILL' : hangSignal, `did not turn its event loop for ${time} ms`);
    member.hung = true;
    this.emit('hang', { pid: member.pid, time });
  }

  /**
   * @param {Member} member
   * @param {number} bytes
   */
  #onMemory(member, bytes) {
    const delay = this.#seats.find((seat) => seat.member === member)?.replaceLater();
    if (delay !== undefined) this.emit('memory', { pid: member.pid, bytes, delay });
  }

  /**
   * `worker.disconnect()` of a supervised worker: replaced, and nothing lost.
   *
   * @param {any} worker
   * @returns {boolean} Whether it is one of ours.
   */
  #onDisconnectAsked(worker) {
    const member = [...this.#alive].find((one) => one.worker === worker);
    this.#seats.find((seat) => seat.member === member)?.replaceSoon();
    return member !== undefined;
  }

  /**
   * Replaces all workers, one after the other (or `reloadParallel` at a time). Asked for during a reload, it joins it.
   * When a new worker fails, the old ones that are left stay, and it rejects.
   */
  reload() {
    if (this.#stopping) return handled(Promise.reject(stopping()));
    return (this.#reloading ??= handled(this.#reload()));
  }

  async #reload() {
    // Whoever listens to it may ask whether we are reloading.
    await null;
    this.emit('reloading');
    try {
      const parallel = this.#options.reloadParallel;
      const report = await reloadAll(this.#seats, { parallel, isStopping: () => this.#stopping !== undefined });
      this.#reloading = undefined;
      this.emit('reload', report);
      return report;
    } catch (error) {
      this.#reloading = undefined;
      this.emit('reload', { .../** @type {any} */ (error).report, error });
      throw error;
    }
  }

  /**
   * Changes the count of workers. Resolves when new ones are ready and surplus ones have finished.
   *
   * @param {number | 'max'} count
   */
  scale(count) {
    return handled(this.#scale(count));
  }

  /** @param {number | 'max'} count */
  async #scale(count) {
    const wanted = options.workers(count);
    if (this.#stopping) throw stopping();
    const added = [];
    while (this.#seats.length < wanted) added.push(this.#addSeat().ready);
    const surplus = this.#seats.splice(wanted);
    this.#lookWhetherAllAreReady();
    await Promise.all([...added, ...surplus.map((seat) => seat.vacate())]);
  }

  /** Lets all workers finish what they have, and ends. A reload that is under way is given up. */
  stop() {
    return (this.#stopping ??= this.#stop());
  }

  async #stop() {
    this.#state = 'stopping';
    this.#watchdog?.stop();
    // Those who asked for it see it as `stopping` before anything happens.
    await null;
    this.emit('stopping');
    for (const seat of this.#seats) seat.abandon();
    const members = [...this.#alive];
    const handedOver = this.#core.finish(members.flatMap(({ worker }) => (worker ? [worker] : [])));
    const retired = Promise.all(members.map((member) => member.retire(true)));
    await handedOver;
    for (const member of members) member.nothingComes();
    await retired;
    await this.#reloading?.catch(() => {});
    this.#rejectReady(coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor was stopped'));
    this.#core.setHooks(undefined);
    this.#state = 'stopped';
    this.emit('stopped');
  }

  /** Ends all workers at once. */
  kill() {
    const stopped = this.stop();
    for (const member of this.#alive) member.kill('SIGKILL');
    return stopped;
  }

  /** What each worker is doing. */
  status() {
    const inSeats = new Set(this.#seats.map(({ member }) => member));
    const leaving = [...this.#alive].filter((member) => member.state === 'retiring' && !inSeats.has(member));
    return {
      state: this.#reloading && this.#state === 'running' ? /** @type {const} */ ('reloading') : this.#state,
      workers: this.#seats.map((seat) => seat.status()),
      leaving: leaving.map(({ pid, board, uptime }) => ({ pid, uptime, connections: board.active })),
    };
  }
}

/**
 * A promise that whoever asked may ignore: events tell the same.
 *
 * @template T
 * @param {Promise<T>} promise
 */
function handled(promise) {
  promise.catch(() => {});
  return promise;
}

function stopping() {
  return coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor is stopping');
}

module.exports = { Supervisor };
