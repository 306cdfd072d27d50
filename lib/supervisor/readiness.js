'use strict';

// Whether a new worker does its work by now, or has had the time to: what is asked for by `ready`, and that it listens on all that the
// one listens on whose place it takes.

const { Countdown } = require('./countdown.js');

/** How often (ms) we look whether one that listens has all the addresses that it shall have, besides when it tells of one. */
const LOOK = 100;

/**
 * @typedef {import('./occupant.js').Occupant} Occupant
 */

class Readiness {
  #occupant;
  #options;
  #prospects;
  #happen;
  /** The next look at its addresses. @type {NodeJS.Timeout | undefined} */
  #look;

  /**
   * @param {Occupant} occupant
   * @param {Pick<import('./options.js').Options, 'ready' | 'readyTimeout'>} options
   * @param {import('./occupant.js').Prospects} prospects
   * @param {(event: 'ready' | 'presumed' | 'overtime', verdict?: string) => void} happen Called with what it has come to (life.js),
   *   and with what is wrong if it has failed.
   */
  constructor(occupant, options, prospects, happen) {
    this.#occupant = occupant;
    this.#options = options;
    this.#prospects = prospects;
    this.#happen = happen;
    const { ready, readyTimeout } = options;
    /** @type {Countdown} */
    let countdown;
    const count = (/** @type {number} */ time) => {
      countdown = new Countdown(time, () => {
        const more = prospects.patience() - readyTimeout;
        // Others have taken longer: so may this one.
        if (more > 0 && time === readyTimeout) count(more);
        else this.#onOvertime();
      });
    };
    count(readyTimeout);
    for (const event of ['usable', 'failed']) occupant.once(event, () => countdown.stop());
    for (const event of ['usable', 'failed', 'leaving', 'exit']) occupant.on(event, () => this.#lookAgain());
    const { worker } = occupant;
    worker?.on('listening', () => this.onListening());
    worker?.once('online', () => ready === 'online' && happen('ready'));
    worker?.on('message', (/** @type {unknown} */ message) => ready === 'message' && message === 'ready' && happen('ready'));
  }

  /** A server of its listens, by the primary or by itself. */
  onListening() {
    this.#occupant.listened = true;
    // Whoever listens to the cluster hears of it before we say that it is ready.
    process.nextTick(() => this.#lookAtAddresses());
  }

  get #isAwaited() {
    const { state } = this.#occupant;
    return state === 'starting' || state === 'running';
  }

  #lookAtAddresses() {
    if (!this.#isAwaited || !this.#occupant.listened || this.#options.ready !== 'listening') return;
    if (this.#prospects.expectation.missing(this.#occupant).length === 0) this.#happen('ready');
    else this.#lookAgain();
  }

  /** Until it has all addresses: its predecessor may close some, or end. */
  #lookAgain() {
    clearTimeout(this.#look);
    if (this.#isAwaited && this.#occupant.listened) this.#look = setTimeout(() => this.#lookAtAddresses(), LOOK);
  }

  #onOvertime() {
    const { ready, readyTimeout } = this.#options;
    const { expectation, mustListen, patience } = this.#prospects;
    const late = `was not ready after ${Math.max(readyTimeout, patience())} ms`;
    if (ready !== 'listening') return this.#happen('overtime', late);
    if (this.#occupant.listened) {
      const needed = expectation.needed(this.#occupant);
      if (needed.length === 0) this.#happen('ready');
      else this.#happen('overtime', `${late}: ${whatIsMissing(this.#occupant, needed)}`);
    } else if (mustListen()) {
      this.#happen('overtime', `${late}: it does not listen, as others do (a longer readyTimeout, --ready-timeout, gives it more time)`);
    } else {
      this.#happen('presumed');
    }
  }
}

/**
 * @param {Pick<Occupant, 'addresses' | 'own'>} occupant
 * @param {string[]} missing
 */
function whatIsMissing({ addresses, own }, missing) {
  const here = [...addresses.map(({ name }) => name), ...own].join(', ') || 'nothing';
  const hint = "a longer readyTimeout, --ready-timeout, gives it more time; with ready: 'message', --ready message, it decides";
  return `it listens on ${here}, and not on ${missing.join(', ')} as the worker it was to replace (${hint})`;
}

module.exports = { Readiness, whatIsMissing };
