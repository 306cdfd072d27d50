'use strict';

// One of the places that a worker takes: workers come and go, the place stays.

const { ours } = require('../errors.js');
const { Backoff } = require('./backoff.js');
const { Expectation } = require('./expectation.js');
const { cpu, memory } = require('./process_figures.js');

/** How long (ms) a signal to a whole group of processes may take to reach all of them. */
const GROUP_TIME = 100;
/** Signals with which processes are told to end, and the exit codes of those that do. */
const TOLD = Object.freeze(['SIGHUP', 'SIGINT', 'SIGTERM']);
const TOLD_CODES = Object.freeze([0, 129, 130, 143]);

/**
 * @typedef {import('./member.js').Member} Member
 */

/**
 * What a seat needs of its supervisor.
 *
 * @typedef {object} Service
 * @property {Readonly<import('./options.js').Options>} options
 * @property {(prospects: import('./member.js').Prospects) => Member} newMember
 * @property {() => Member[]} members Those that have a seat, and do their work.
 * @property {() => boolean} allListen Whether all workers of the service have listened.
 * @property {() => number} patience ms that a new worker may take to get ready.
 * @property {() => boolean} isStopping
 * @property {(member: Member) => void} onUsable A worker of a seat has begun to do its work, or is taken to.
 * @property {(member: Member) => void} onCrash A worker of a seat has ended, or will soon, and nobody wanted it to.
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
  /** Who does the work. @type {Member | undefined} */
  member;
  restarts = 0;
  /** @type {{ time: number, pid: number | undefined, code: number | null, signal: string | null, reason: string, connections: number } | undefined} */
  lastExit;
  /** Whether no worker shall take it any more. */
  vacated = false;
  /** The last that has done the work: what the next one has to do. @type {Member | undefined} */
  #model;
  /** Who is about to do the work. @type {Member | undefined} */
  #replacement;
  /** @type {Promise<{ old: Member | undefined, replacement: Member, readyTime: number }> | undefined} */
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
    if (!this.member?.isUsable) return true;
    return this.restarts > 0 && this.member.uptime < this.#service.patience();
  }

  get #closed() {
    return this.vacated || this.#service.isStopping();
  }

  /**
   * A new worker for this place.
   *
   * @param {Expectation} expectation
   */
  #newMember(expectation) {
    const { allListen, newMember, patience } = this.#service;
    const mustListen = () => this.#model?.listened ?? allListen();
    return newMember({ instance: this.number, expectation, mustListen, patience });
  }

  /** Starts the worker of a seat that has none. */
  fill() {
    this.#cancelTimer();
    const member = this.#newMember(new Expectation(undefined, this.#service.members));
    this.member = member;
    this.#watch(member);
    return member;
  }

  /** @param {Member} member */
  #watch(member) {
    member.once('exit', () => this.#onExit(member));
    member.once('deserting', () => this.#onDeserting(member));
    member.on('usable', () => member === this.member && this.#onUsable(member));
    let isAsked = false;
    member.on('asked-to-leave', (/** @type {boolean} */ bySignal) => {
      // However often it asks.
      if (isAsked) return;
      isAsked = true;
      // The whole group may have been told to end: then so have we.
      const reason = bySignal ? 'got SIGTERM' : 'called disconnect()';
      const replace = () => {
        isAsked = false;
        if (this.member === member) this.replaceSoon(reason);
      };
      setTimeout(replace, bySignal ? GROUP_TIME : 0);
    });
  }

  /** @param {Member} member */
  #onUsable(member) {
    this.#model = member;
    member.release();
    this.#service.onUsable(member);
  }

  /** @param {Member} member */
  #onExit(member) {
    const { code, signal } = /** @type {NonNullable<Member['end']>} */ (member.end);
    const { lost, pid, reason } = member;
    this.lastExit = { time: Date.now(), pid, code, signal, reason, connections: lost };
    if (member !== this.member) return;
    this.member = undefined;
    // The whole group may have been told to end, and we are about to hear of it.
    const told = member.gotSigterm || (code === null ? TOLD.includes(`${signal}`) : TOLD_CODES.includes(code));
    if (told && !this.#closed) this.#timer = setTimeout(() => this.#lost(member), GROUP_TIME);
    else this.#lost(member);
  }

  /**
   * A worker whose place is free goes on to finish what it has, while its seat is taken by another.
   *
   * @param {Member} member
   */
  #onDeserting(member) {
    if (member !== this.member || this.#closed) return;
    this.member = undefined;
    this.#lost(member);
  }

  /** @param {Member} member Whom nobody has replaced yet. */
  #lost(member) {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#service.onCrash(member);
    if (this.#closed) return; // It was one too many.
    this.restarts++;
    const isTaken = this.#swapping !== undefined || this.member !== undefined;
    const delay = isTaken ? 0 : this.#backoff.next(member.uptime);
    const { lastWords, pid, reason } = member;
    if (!isTaken) this.#timer = setTimeout(() => this.fill(), delay);
    this.#service.tell('restart', { seat: this.number, pid, reason, delay, restarts: this.restarts, lastWords });
  }

  /**
   * The same, for reasons that may come again at once (so with growing delays), and for which nobody waits.
   *
   * @returns {number | undefined} After how many ms it begins; nothing when it is under way or of no use.
   */
  replaceLater() {
    const { member } = this;
    if (!member || this.#swapping || this.#timer || this.#closed) return undefined;
    const delay = this.#backoff.next(member.uptime);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.member === member) this.replaceSoon();
    }, delay);
    return delay;
  }

  /**
   * A new worker takes over; that it could not is told as an event.
   *
   * @param {string} [reason] To tell, if it has not been told.
   */
  replaceSoon(reason) {
    if (this.#swapping || this.#closed) return;
    if (reason !== undefined) this.#service.tell('replace', { seat: this.number, pid: this.member?.pid, reason });
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
    const expectation = new Expectation(this.member, this.#service.members);
    this.member?.askForOwn();
    const replacement = this.#newMember(expectation);
    this.#replacement = replacement;
    let readyTime;
    try {
      await replacement.usable;
      readyTime = replacement.uptime;
      // Whether it is any good matters as long as there is another that is.
      if (first && this.member) await replacement.survive(settleTime, this.member.exited);
      if (!replacement.isUsable) throw replacement.failure(replacement.reason);
      // What it listened on may have been a try.
      const needed = ready === 'listening' && replacement.listened ? expectation.needed(replacement) : [];
      if (needed.length > 0) throw replacement.failure(`is not ready any more: ${replacement.whatIsMissing(needed)}`);
      if (this.#closed) throw stopped();
    } catch (error) {
      replacement.kill('SIGKILL');
      await replacement.exited;
      this.#replacement = undefined;
      // Died meanwhile, and waited for the replacement.
      if (!this.member && !this.#closed) this.fill();
      throw this.#closed ? stopped() : error;
    }
    this.#replacement = undefined;
    const old = this.member;
    this.member = replacement;
    this.#watch(replacement);
    this.#onUsable(replacement);
    // Before anything else may happen to it.
    void old?.retire({ heir: replacement });
    return { old, replacement, readyTime };
  }

  /** No worker takes it any more; the one that has it retires. */
  async vacate() {
    this.abandon();
    await Promise.all([this.member?.retire(), this.#replacement?.exited]);
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
    const { member, restarts, lastExit, number } = this;
    const { active, queued, total, utilization, longestTurn } = member?.board ?? NOTHING;
    return {
      seat: number,
      pid: member?.pid,
      id: /** @type {number | undefined} */ (member?.worker?.id),
      state: member?.state ?? /** @type {const} */ ('restarting'),
      uptime: member?.uptime ?? 0,
      restarts,
      lastExit,
      connections: { active, queued, total },
      loop: { utilization, longestTurn },
      memory: memory(member?.pid),
      cpu: cpu(member?.pid),
    };
  }
}

const NOTHING = Object.freeze({ active: 0, queued: 0, total: 0, utilization: 0, longestTurn: 0 });

function stopped() {
  return ours('ERR_RCLUSTER_STOPPED', 'The supervisor needs this worker no more');
}

module.exports = { GROUP_TIME, Seat };
