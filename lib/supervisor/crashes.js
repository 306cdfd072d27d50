'use strict';

// What crashes say of the service, besides of one worker: whether it works at all, and what to say when it does not.

const { ours } = require('../errors.js');
const { CrashLoop } = require('./backoff.js');

/** @typedef {import('./occupant.js').Occupant} Occupant */

/** Signals that come from outside as a rule. */
const EXTERNAL = Object.freeze(['SIGINT', 'SIGKILL', 'SIGTERM']);

class Crashes {
  #settleTime;
  #restart;
  #loop;
  /** Whether any worker has stayed alive for a while, doing its work, and whether any has for long. */
  #works = false;
  #isOld = false;

  /** @param {Pick<import('./options.js').Options, 'settleTime' | 'restart'>} options */
  constructor({ settleTime, restart }) {
    this.#settleTime = settleTime;
    this.#restart = restart;
    this.#loop = new CrashLoop(restart);
  }

  /**
   * @param {Occupant} occupant Has crashed.
   * @param {Iterable<Occupant>} alive
   * @param {Occupant[]} occupants Those that have a seat and do their work, or are taken to.
   * @returns {{ fatal: boolean, error: Error } | undefined} If it is one crash too many; `fatal`: going on makes no sense.
   */
  onCrash(occupant, alive, occupants) {
    const { pid, reason, lastWords, end, usableAt } = occupant;
    const [settleTime, restart] = [this.#settleTime, this.#restart];
    const now = Date.now();
    const worked = ({ usableAt: begin = now }) => now - begin;
    for (const one of [occupant, ...alive]) {
      this.#works ||= one.usableAt !== undefined && worked(one) >= settleTime;
      this.#isOld ||= one.uptime >= restart.resetAfter;
    }
    const oldest = Math.max(0, ...occupants.map(worked));
    // Somebody may want it to end.
    const early = usableAt === undefined || !EXTERNAL.includes(`${end?.signal}`);
    const deaf = usableAt !== undefined && /\b(?:listen|bind) E[A-Z]+\b/.test(lastWords);
    const crash = { early, deaf, lived: worked(occupant) };
    const loop = this.#loop.crashed(now, crash, { works: this.#works, isOld: this.#isOld, oldest });
    if (!loop) return undefined;
    const { count, fatal } = loop;
    // The line that names the error; the rest has been printed by the worker itself.
    const line = lastWords.split('\n').find((text) => /Error\b/.test(text)) ?? lastWords.split('\n').at(-1);
    const words = line ? `: ${line}` : '';
    const never = usableAt === undefined ? 'before any was ready' : `within ${settleTime} ms of being ready`;
    const why = loop.early ? never : 'as they cannot listen';
    const when = fatal ? why : `within ${restart.window / 1000} s`;
    const error = ours('ERR_RCLUSTER_CRASH_LOOP', `${count} workers died ${when}; the last${pid === undefined ? '' : `, ${pid},`} ${reason}${words}`);
    return { fatal, error };
  }
}

module.exports = { Crashes };
