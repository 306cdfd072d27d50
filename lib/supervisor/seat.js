'use strict';

// One of the places that a worker takes: workers come and go, the place stays.

const { ours } = require('../errors.js');
const { noStats } = require('../stats.js');
const { Backoff } = require('./backoff.js');
const { Expectation } = require('./expectation.js');
const { cpu, memory } = require('./process_figures.js');
const { whatIsMissing } = require('./readiness.js');

/** How long (ms) a signal to a whole group of processes may take to reach all of them. */
const GROUP_TIME = 100;
/** Signals with which processes are told to end, and the exit codes of those that do. */
const TOLD = Object.freeze(['SIGHUP', 'SIGINT', 'SIGTERM']);
const TOLD_CODES = Object.freeze([0, 129, 130, 143]);

/**
 * @typedef {import('./occupant.js').Occupant} Occupant
 */

/**
 * What a seat needs of its supervisor.
 *
 * @typedef {object} Service
 * @property {Readonly<import('./options.js').Options>} options
 * @property {(prospects: import('./occupant.js').Prospects) => Occupant} newOccupant
 * @property {() => Occupant[]} occupants Those that have a seat, and do their work.
 * @property {() => boolean} allListen Whether all workers of the service have listened.
 * @property {() => number} patience ms that a new worker may take to get ready.
 * @property {() => boolean} isStopping Whether nobody who dies is replaced any more.
 * @property {() => boolean} isToStop Whether it is, or will be soon: nobody who serves need be replaced.
 * @property {(occupant: Occupant) => void} onUsable A worker of a seat has begun to do its work, or is taken to.
 * @property {(occupant: Occupant) => void} onCrash A worker of a seat has ended, or will soon, and nobody wanted it to.
 * @property {(event: string, payload: unknown) => void} tell Emits an event for the user.
 */

/**
 * @typedef {object} ReloadedWorker
 * @property {number} seat
 * @property {number | undefined} oldPid
 * @property {number | undefined} newPid
 * @property {number} readyTime ms from the fork of the new worker until it was ready.
 * @property {number} drainTime ms that the old one took to finish.
 * @property {number} moved Connections that went on in other workers.
 * @property {number} finished Connections that ended by themselves.
 * @property {number} cut Connections that were open at the deadline.
 */

class Seat {
  /** Who does the work. @type {Occupant | undefined} */
  occupant;
  restarts = 0;
  /** @type {{ time: number, pid: number | undefined, code: number | null, signal: string | null, reason: string, connections: number } | undefined} */
  lastExit;
  /** Whether no worker shall take it any more. */
  vacated = false;
  /** The last that has done the work: what the next one has to do. @type {Occupant | undefined} */
  #model;
  /** Who is about to do the work. @type {Occupant | undefined} */
  #replacement;
  /** @type {Promise<{ old: Occupant | undefined, replacement: Occupant, readyTime: number }> | undefined} */
  #swapping;
  /** Of the restart that is due. @type {NodeJS.Timeout | undefined} */
  #timer;
  #backoff;
  #service;

  /**
   * @param {number} number
   * @param {Service} service
   */
  constructor(number, service) {
    this.number = number;
    this.#service = service;
    this.#backoff = new Backoff(service.options.restart);
  }

  /** Whether somebody is about to take over. */
  get isBeingReplaced() {
    return this.#swapping !== undefined;
  }

  /** Whether its worker is missing, or may still be about to listen where one that has died did. */
  get isRecovering() {
    if (!this.occupant?.isUsable) return true;
    return this.restarts > 0 && this.occupant.uptime < this.#service.patience();
  }

  get #closed() {
    return this.vacated || this.#service.isStopping();
  }

  /**
   * A new worker for this place.
   *
   * @param {Expectation} expectation
   */
  #newOccupant(expectation) {
    const { allListen, newOccupant, patience } = this.#service;
    const mustListen = () => this.#model?.listened ?? allListen();
    return newOccupant({ instance: this.number, expectation, mustListen, patience });
  }

  /** Starts the worker of a seat that has none. */
  fill() {
    this.#cancelTimer();
    const occupant = this.#newOccupant(new Expectation(undefined, this.#service.occupants));
    this.occupant = occupant;
    this.#watch(occupant);
    return occupant;
  }

  /** @param {Occupant} occupant */
  #watch(occupant) {
    occupant.once('exit', () => this.#onExit(occupant));
    occupant.once('deserting', () => this.#onDeserting(occupant));
    occupant.on('usable', () => occupant === this.occupant && this.#onUsable(occupant));
    let isAsked = false;
    occupant.on('asked-to-leave', (/** @type {boolean} */ bySignal) => {
      // However often it asks.
      if (isAsked) return;
      isAsked = true;
      // The whole group may have been told to end: then so have we.
      const reason = bySignal ? 'got SIGTERM' : 'called disconnect()';
      const replace = () => {
        isAsked = false;
        if (this.occupant === occupant) this.replaceSoon(reason);
      };
      setTimeout(replace, bySignal ? GROUP_TIME : 0);
    });
  }

  /** @param {Occupant} occupant */
  #onUsable(occupant) {
    this.#model = occupant;
    occupant.release();
    this.#service.onUsable(occupant);
  }

  /** @param {Occupant} occupant */
  #onExit(occupant) {
    const { code, signal } = /** @type {NonNullable<Occupant['end']>} */ (occupant.end);
    const { lost, pid, reason } = occupant;
    this.lastExit = { time: Date.now(), pid, code, signal, reason, connections: lost };
    if (occupant !== this.occupant) return;
    this.occupant = undefined;
    // The whole group may have been told to end, and we are about to hear of it.
    const told = occupant.gotSigterm || (code === null ? TOLD.includes(`${signal}`) : TOLD_CODES.includes(code));
    if (told && !this.#closed) this.#timer = setTimeout(() => this.#lost(occupant), GROUP_TIME);
    else this.#lost(occupant);
  }

  /**
   * A worker whose place is free goes on to finish what it has, while its seat is taken by another.
   *
   * @param {Occupant} occupant
   */
  #onDeserting(occupant) {
    if (occupant !== this.occupant || this.#closed) return;
    this.occupant = undefined;
    this.#lost(occupant);
  }

  /** @param {Occupant} occupant Whom nobody has replaced yet. */
  #lost(occupant) {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#service.onCrash(occupant);
    if (this.#closed) return; // It was one too many.
    this.restarts++;
    const isTaken = this.#swapping !== undefined || this.occupant !== undefined;
    const delay = isTaken ? 0 : this.#backoff.next(occupant.uptime);
    const { lastWords, pid, reason } = occupant;
    if (!isTaken) this.#timer = setTimeout(() => this.fill(), delay);
    this.#service.tell('restart', { seat: this.number, pid, reason, delay, restarts: this.restarts, lastWords });
  }

  /**
   * The same, for reasons that may come again at once (so with growing delays), and for which nobody waits.
   *
   * @returns {number | undefined} After how many ms it begins; nothing when it is under way or of no use.
   */
  replaceLater() {
    const { occupant } = this;
    if (!occupant || this.#swapping || this.#timer || this.#closed) return undefined;
    const delay = this.#backoff.next(occupant.uptime);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.occupant === occupant) this.replaceSoon();
    }, delay);
    return delay;
  }

  /**
   * A new worker takes over; that it could not is told as an event.
   *
   * @param {string} [reason] To tell, if it has not been told.
   */
  replaceSoon(reason) {
    if (this.#swapping || this.#closed || this.#service.isToStop()) return;
    if (reason !== undefined) this.#service.tell('replace', { seat: this.number, pid: this.occupant?.pid, reason });
    this.replace(false).catch((error) => this.#closed || this.#service.tell('restart-failed', error));
  }

  /**
   * A new worker takes over before the old one goes. The old one stays when the new one fails.
   *
   * @param {boolean} first Whether it is the first of its version: it has to stay alive for a while before it counts.
   * @returns {Promise<ReloadedWorker>}
   */
  async replace(first) {
    // One that began before may be of an older version.
    while (this.#swapping) await this.#swapping.catch(() => {});
    this.#swapping = this.#swap(first).finally(() => {
      this.#swapping = undefined;
    });
    const { old, replacement, readyTime } = await this.#swapping;
    const { moved, finished, cut, time } = (await old?.retire()) ?? { moved: 0, finished: 0, cut: 0, time: 0 };
    const { number: seat } = this;
    return { seat, oldPid: old?.pid, newPid: replacement.pid, readyTime, drainTime: time, moved, finished, cut };
  }

  /** @param {boolean} first */
  async #swap(first) {
    if (this.#closed) throw stopped();
    this.#cancelTimer();
    const { ready, settleTime } = this.#service.options;
    const expectation = new Expectation(this.occupant, this.#service.occupants);
    this.occupant?.askForOwn();
    const replacement = this.#newOccupant(expectation);
    this.#replacement = replacement;
    let readyTime;
    try {
      await replacement.usable;
      readyTime = replacement.uptime;
      // Whether it is any good matters as long as there is another that is.
      if (first && this.occupant) await replacement.survive(settleTime, this.occupant.exited);
      if (!replacement.isUsable) throw replacement.failure(replacement.reason);
      // What it listened on may have been a try.
      const needed = ready === 'listening' && replacement.listened ? expectation.needed(replacement) : [];
      if (needed.length > 0) throw replacement.failure(`is not ready any more: ${whatIsMissing(replacement, needed)}`);
      if (this.#closed) throw stopped();
    } catch (error) {
      replacement.kill('SIGKILL');
      await replacement.exited;
      this.#replacement = undefined;
      // Died meanwhile, and waited for the replacement.
      if (!this.occupant && !this.#closed) this.fill();
      throw this.#closed ? stopped() : error;
    }
    this.#replacement = undefined;
    const old = this.occupant;
    this.occupant = replacement;
    this.#watch(replacement);
    this.#onUsable(replacement);
    // Before anything else may happen to it.
    void old?.retire({ heir: replacement });
    return { old, replacement, readyTime };
  }

  /** No worker takes it any more; the one that has it retires. */
  async vacate() {
    this.abandon();
    await Promise.all([this.occupant?.retire(), this.#replacement?.exited]);
  }

  /** No worker takes it any more; what becomes of the one that has it is another's business. */
  abandon() {
    this.vacated = true;
    this.#cancelTimer();
    this.#replacement?.kill('SIGKILL');
  }

  #cancelTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What its worker is doing. */
  status() {
    const { occupant, restarts, lastExit, number } = this;
    return {
      seat: number,
      pid: occupant?.pid,
      id: /** @type {number | undefined} */ (occupant?.worker?.id),
      state: occupant?.state ?? /** @type {const} */ ('restarting'),
      uptime: occupant?.uptime ?? 0,
      restarts,
      lastExit,
      ...(occupant?.stats ?? noStats()),
      memory: memory(occupant?.pid),
      cpu: cpu(occupant?.pid),
    };
  }
}

function stopped() {
  return ours('ERR_RCLUSTER_STOPPED', 'The supervisor needs this worker no more');
}

module.exports = { GROUP_TIME, Seat };
