'use strict';

// Keeps a service running: so many workers, replaced when they die, hang or grow, and all of them on a reload.

const EventEmitter = require('node:events');

const { coded } = require('../errors.js');
const { Backoff, CrashLoop } = require('./backoff.js');
const { Member } = require('./member.js');
const options = require('./options.js');
const { inheritedSockets, notifyManager, reapOrphans } = require('./service_manager.js');
const { handleSignals } = require('./signals.js');
const { cpu, memory } = require('./process_figures.js');
const { Watchdog } = require('./watchdog.js');

/** How long (ms) a signal to a whole group of processes may take to reach all of them. */
const GROUP_TIME = 100;

/**
 * One of the places that a worker takes: workers come and go, the place stays.
 *
 * @typedef {object} Seat
 * @property {number} number
 * @property {Member | undefined} member Who does the work.
 * @property {Member | undefined} replacement Who is about to.
 * @property {Backoff} backoff
 * @property {number} restarts
 * @property {{ time: number, reason: string } | undefined} lastExit
 * @property {NodeJS.Timeout | undefined} timer Of the restart that is due.
 */

/**
 * @typedef {object} ReloadedWorker
 * @property {number | undefined} oldPid
 * @property {number | undefined} newPid
 * @property {number} readyTime ms from the fork of the new worker until it was ready.
 * @property {number} drainTime ms that the old one took to finish.
 * @property {number} moved Connections that went on in other workers.
 * @property {number} finished Connections that ended by themselves.
 * @property {number} cut Connections that were open at the deadline.
 */

/** Emits `ready`, `restart`, `hang`, `memory`, `crash-loop`, `reload` and `stopped`: see index.d.ts. */
class Supervisor extends EventEmitter {
  #core;
  #options;
  /** @type {Seat[]} */
  #seats = [];
  #lastSeat = 0;
  #crashLoop;
  #watchdog;
  /** Whether any worker has ever been ready, and whether any has ever listened. */
  #everReady = false;
  #everListened = false;
  /** @type {Promise<{ workers: ReloadedWorker[] }> | undefined} */
  #reloading;
  /** @type {Promise<void> | undefined} */
  #stopping;
  /** @type {Promise<void>} */
  #firstReady;

  /**
   * @param {import('../primary.js').Core} core
   * @param {unknown} given
   */
  constructor(core, given) {
    super();
    this.#core = core;
    this.#options = options.parse(given);
    this.#crashLoop = new CrashLoop(this.#options.restart);
    core.setup(this.#options.settings, this.#options.policy);
    core.useSockets(inheritedSockets());
    notifyManager(this);
    reapOrphans(core.pids);
    if (this.#options.signals) this.#handleSignals();
    core.onDisconnect((worker) => this.#onDisconnectAsked(worker));
    this.#firstReady = this.#start();
    this.#firstReady.catch(() => {});
    this.#watchdog = new Watchdog(core, this.#options, {
      members: () => this.#seats.flatMap(({ member }) => (member?.state === 'ready' ? [member] : [])),
      onHang: (member, time) => this.#onHang(member, time),
      onMemory: (member, bytes) => this.#onMemory(member, bytes),
    });
  }

  #handleSignals() {
    const takeAway = handleSignals(this, {
      log: (text) => this.emit('log', text),
      forced: (signal) => this.emit('forced', signal),
    });
    this.once('stopped', takeAway);
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

  /** @returns {Promise<void>} */
  #start() {
    return new Promise((resolve, reject) => {
      const waiting = Array.from({ length: this.#options.workers }, () => this.#addSeat());
      this.once('crash-loop', ({ fatal, error }) => fatal && reject(error));
      this.once('stopped', () => reject(coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor was stopped')));
      const settled = () => {
        if (!waiting.every(({ member }) => member?.state === 'ready')) return;
        this.off('worker-ready', settled);
        this.emit('ready');
        resolve();
      };
      this.on('worker-ready', settled);
    });
  }

  #addSeat() {
    /** @type {Seat} */
    const seat = {
      number: ++this.#lastSeat,
      member: undefined,
      replacement: undefined,
      backoff: new Backoff(this.#options.restart),
      restarts: 0,
      lastExit: undefined,
      timer: undefined,
    };
    this.#seats.push(seat);
    this.#fill(seat);
    return seat;
  }

  /**
   * Starts the worker of a seat that has none.
   *
   * @param {Seat} seat
   */
  #fill(seat) {
    const member = this.#newMember(false);
    seat.member = member;
    member.ready.then(
      () => this.#onReady(member),
      // Not ready in time: it has failed, and dies for it.
      () => member.kill('SIGKILL'),
    );
    this.#watch(seat, member);
  }

  /**
   * @param {Seat} seat
   * @param {Member} member
   */
  #watch(seat, member) {
    member.once('exit', () => this.#onExit(seat, member));
    member.once('crashing', () => this.#onCrashing(seat, member));
    // The whole group may have been told to end: then so have we.
    member.once('asked-to-leave', () => setTimeout(() => this.#onDisconnectAsked(member.worker), GROUP_TIME));
  }

  /** @param {boolean} held */
  #newMember(held) {
    return new Member(this.#core, this.#options, { held, mustListen: this.#everListened });
  }

  /** @param {Member} member */
  #onReady(member) {
    this.#everReady = true;
    this.#everListened ||= member.listened;
    this.emit('worker-ready', member.worker);
  }

  /**
   * @param {Seat} seat
   * @param {Member} member
   */
  #onExit(seat, member) {
    seat.lastExit = { time: Date.now(), reason: /** @type {string} */ (member.reason) };
    if (seat.member !== member || member.state === 'retiring' || !this.#seats.includes(seat)) return;
    seat.member = undefined;
    if (this.#stopping || seat.replacement) return;
    const delay = seat.backoff.next(member.uptime);
    const { lastWords, pid, reason } = member;
    this.#noteCrash(member);
    if (this.#stopping) return;
    seat.restarts++;
    this.emit('restart', { pid, reason, delay, restarts: seat.restarts, lastWords });
    seat.timer = setTimeout(() => this.#fill(seat), delay);
  }

  /** @param {Member} member */
  #noteCrash({ pid, reason, lastWords }) {
    const count = this.#crashLoop.crashed(Date.now(), this.#everReady);
    if (count === 0) return;
    const fatal = !this.#everReady;
    const { window } = this.#options.restart;
    // The line that names the error; the rest has been printed by the worker itself.
    const line = lastWords.split('\n').find((text) => /Error\b/.test(text)) ?? lastWords.split('\n').at(-1);
    const words = line ? `: ${line}` : '';
    const when = fatal ? 'before any was ready' : `within ${window / 1000} s`;
    const error = coded(Error, 'ERR_RCLUSTER_CRASH_LOOP', `${count} workers died ${when}; the last, ${pid}, ${reason}${words}`);
    if (fatal) void this.stop();
    this.emit('crash-loop', { fatal, error });
  }

  /**
   * A worker that reports its own crash goes on to finish what it has: its seat is taken by another at once.
   *
   * @param {Seat} seat
   * @param {Member} member
   */
  #onCrashing(seat, member) {
    if (seat.member !== member || this.#stopping) return;
    void member.retire();
    seat.lastExit = { time: Date.now(), reason: 'crashed and drained' };
    seat.restarts++;
    const { lastWords, pid } = member;
    this.emit('restart', { pid, reason: 'crashed', delay: 0, restarts: seat.restarts, lastWords });
    this.#noteCrash(member);
    if (!this.#stopping) this.#fill(seat);
  }

  /**
   * @param {Member} member
   * @param {number} time
   */
  #onHang(member, time) {
    this.emit('hang', { pid: member.pid, time });
    member.kill(this.#options.hangSignal);
  }

  /**
   * @param {Member} member
   * @param {number} bytes
   */
  #onMemory(member, bytes) {
    const seat = this.#seats.find((one) => one.member === member);
    if (!seat || seat.replacement || this.#stopping) return;
    this.emit('memory', { pid: member.pid, bytes });
    this.#replace(seat, false).catch((error) => this.emit('restart-failed', error));
  }

  /**
   * `worker.disconnect()` of a supervised worker: replaced, and nothing lost.
   *
   * @param {any} worker
   * @returns {boolean} Whether it is one of ours.
   */
  #onDisconnectAsked(worker) {
    const seat = this.#seats.find(({ member }) => member?.worker === worker);
    if (!seat) return false;
    if (!seat.replacement && !this.#stopping) this.#replace(seat, false).catch((error) => this.emit('restart-failed', error));
    return true;
  }

  /**
   * A new worker for a seat, before the old one goes. The old one stays when the new one fails.
   *
   * @param {Seat} seat
   * @param {boolean} first Whether it is the first of its version: it has to stay alive for a while before it counts.
   * @returns {Promise<ReloadedWorker>}
   */
  async #replace(seat, first) {
    clearTimeout(seat.timer);
    const start = Date.now();
    const replacement = this.#newMember(first);
    seat.replacement = replacement;
    let readyTime;
    try {
      await replacement.ready;
      readyTime = Date.now() - start;
      if (first) await this.#settle(replacement);
      if (this.#stopping) throw coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor was stopped');
    } catch (error) {
      seat.replacement = undefined;
      replacement.kill('SIGKILL');
      await replacement.exited;
      // Died meanwhile, and waited for the replacement.
      if (!seat.member && !this.#stopping && this.#seats.includes(seat)) this.#fill(seat);
      throw error;
    }
    replacement.release();
    const old = seat.member;
    seat.member = replacement;
    seat.replacement = undefined;
    this.#watch(seat, replacement);
    this.#onReady(replacement);
    const gone = old ? await old.retire() : { moved: 0, finished: 0, cut: 0, time: 0 };
    const { moved, finished, cut, time } = gone;
    return { oldPid: old?.pid, newPid: replacement.pid, readyTime, drainTime: time, moved, finished, cut };
  }

  /**
   * A version that dies a moment after it was ready would take the service down with it.
   *
   * @param {Member} replacement
   */
  async #settle(replacement) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const settled = new Promise((resolve) => {
      timer = setTimeout(() => resolve(true), this.#options.settleTime);
    });
    const survived = await Promise.race([settled, replacement.exited.then(() => false)]);
    clearTimeout(timer);
    if (survived) return;
    const words = replacement.lastWords ? `; its last output was:\n${replacement.lastWords}` : '';
    throw coded(
      Error,
      'ERR_RCLUSTER_NOT_READY',
      `Worker ${replacement.pid} ${replacement.reason} within ${this.#options.settleTime} ms of being ready${words}`,
    );
  }

  /**
   * Replaces all workers, one after the other (or `reloadParallel` at a time). Asked for during a reload, it joins it.
   * When a new worker fails, the old ones that are left stay, and it rejects.
   */
  reload() {
    if (this.#stopping) return Promise.reject(coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor is stopping'));
    return (this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    }));
  }

  async #reload() {
    const start = Date.now();
    /** @type {ReloadedWorker[]} */
    const workers = [];
    const seats = [...this.#seats];
    this.emit('reloading');
    /** @type {Error | undefined} */
    let failure;
    const next = async (/** @type {boolean} */ first) => {
      const seat = seats.shift();
      if (!seat || failure || !this.#seats.includes(seat)) return;
      try {
        if (seat.replacement) await seat.replacement.ready;
        else workers.push(await this.#replace(seat, first));
      } catch (error) {
        failure ??= /** @type {Error} */ (error);
      }
    };
    // The first shows whether the new version is any good.
    await next(true);
    const lanes = Array.from({ length: this.#options.reloadParallel }, async () => {
      while (seats.length > 0 && !failure) await next(false);
    });
    await Promise.all(lanes);
    const report = { workers, time: Date.now() - start };
    if (failure) {
      const kept = this.#seats.filter(({ member }) => member && !workers.some(({ newPid }) => newPid === member.pid)).length;
      const error = coded(Error, 'ERR_RCLUSTER_RELOAD_FAILED', `The reload failed, ${kept} old workers stay: ${failure.message}`);
      Object.assign(error, { cause: failure, report });
      this.emit('reload', { ...report, error });
      throw error;
    }
    this.emit('reload', report);
    return report;
  }

  /**
   * Changes the count of workers. Resolves when new ones are ready and surplus ones have finished.
   *
   * @param {number | 'max'} count
   */
  async scale(count) {
    const wanted = options.workers(count);
    if (this.#stopping) throw coded(Error, 'ERR_RCLUSTER_STOPPED', 'The supervisor is stopping');
    const added = [];
    while (this.#seats.length < wanted) added.push(this.#addSeat().member?.ready);
    const surplus = this.#seats.splice(wanted);
    await Promise.all([...added, ...surplus.map((seat) => this.#vacate(seat))]);
  }

  /** @param {Seat} seat */
  async #vacate(seat) {
    clearTimeout(seat.timer);
    seat.replacement?.kill('SIGKILL');
    await seat.member?.retire();
  }

  /** Lets all workers finish what they have, and ends. A reload that is under way is given up. */
  stop() {
    return (this.#stopping ??= this.#stop());
  }

  async #stop() {
    this.#watchdog?.stop();
    // Those who asked for it see it as `stopping` before anything happens.
    await null;
    this.emit('stopping');
    await Promise.all(this.#seats.map((seat) => this.#vacate(seat)));
    await this.#reloading?.catch(() => {});
    this.emit('stopped');
  }

  /** Ends all workers at once. */
  kill() {
    const stopped = this.stop();
    for (const { member, replacement } of this.#seats) {
      member?.kill('SIGKILL');
      replacement?.kill('SIGKILL');
    }
    return stopped;
  }

  /** What each worker is doing. */
  status() {
    return {
      state: this.#stopping ? 'stopping' : this.#reloading ? 'reloading' : 'running',
      workers: this.#seats.map((seat) => this.#seatStatus(seat)),
    };
  }

  /** @param {Seat} seat */
  #seatStatus({ number, member, restarts, lastExit }) {
    const board = member && member.state !== 'exited' ? this.#core.board(member.worker) : undefined;
    return {
      seat: number,
      pid: member?.pid,
      id: member?.worker.id,
      state: member?.state ?? 'restarting',
      uptime: member?.uptime ?? 0,
      restarts,
      lastExit,
      connections: { active: board?.active ?? 0, queued: board?.queued ?? 0, total: board?.taken ?? 0 },
      loop: { utilization: board?.utilization ?? 0, longestTurn: board?.longestTurn ?? 0 },
      memory: member ? memory(member.pid) : 0,
      cpu: member ? cpu(member.pid) : 0,
    };
  }
}

module.exports = { Supervisor };
