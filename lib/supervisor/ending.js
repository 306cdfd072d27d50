'use strict';

// How a service ends: by itself or for a primary that comes next, having served on for a while or not, when its workers have finished or at once.

const { setTimeout: sleep } = require('node:timers/promises');

const { ours } = require('../errors.js');
const { Countdown } = require('./countdown.js');
const { GROUP_TIME } = require('./seat.js');

/**
 * What the end needs of the service.
 *
 * @typedef {object} Ways
 * @property {import('../primary/port.js').Port} port
 * @property {Readonly<import('./options.js').Options>} options
 * @property {Set<import('./occupant.js').Occupant>} alive All workers that have not exited.
 * @property {() => boolean} wereAllReady Whether there was somebody to serve on for.
 * @property {() => void} letGo Nobody who dies is replaced from now on, and nobody is watched.
 * @property {() => Promise<void>} reloaded Resolves when no reload is under way.
 * @property {(event: 'stopping' | 'stopped') => void} tell
 */

class Ending {
  /** @type {'running' | 'stopping' | 'stopped'} */
  state = 'running';
  /** @type {Promise<void> | undefined} */
  #done;
  /** Serves on for a while, though it is to be stopped: calling this ends that. @type {(() => void) | undefined} */
  #endServingOn;
  #mayServeOn = true;
  #isForNext = false;
  #ways;

  /** @param {Ways} ways */
  constructor(ways) {
    this.#ways = ways;
  }

  /** Whether it has been asked for. */
  get hasBegun() {
    return this.#done !== undefined;
  }

  /** Whether all is served as ever, though the end has been asked for. */
  get isServingOn() {
    return this.#endServingOn !== undefined;
  }

  /** Whether a primary comes next that gets our sockets. */
  get isForNext() {
    return this.#isForNext;
  }

  /** Resolves when all workers have finished. */
  begin() {
    return (this.#done ??= this.#end());
  }

  /** Nothing is served on from now on. */
  beSoon() {
    this.#mayServeOn = false;
    this.#endServingOn?.();
  }

  /** The listening sockets stay with the manager that started us, for a primary that comes next. */
  beForNext() {
    this.#isForNext = true;
    this.#ways.port.leaveSockets();
  }

  /**
   * Another primary serves, and nobody stops us any more.
   *
   * @param {Promise<void> | undefined} finished
   */
  leaveTo(finished) {
    this.#done ??= finished;
    this.state = 'stopping';
  }

  async #end() {
    const { port, options, alive, wereAllReady, letGo, reloaded, tell } = this.#ways;
    this.state = 'stopping';
    // Those who asked for it see it as `stopping` before anything happens.
    await null;
    tell('stopping');
    if (options.stopDelay > 0 && wereAllReady() && this.#mayServeOn) await this.#serveOn();
    letGo();
    const occupants = [...alive];
    const handedOver = port.finish(occupants.flatMap(({ worker }) => (worker ? [worker] : [])));
    const retired = Promise.all(occupants.map((occupant) => occupant.retire({ last: true })));
    await handedOver;
    await this.#untilGroupKnows(occupants);
    for (const occupant of occupants) occupant.nothingComes();
    await retired;
    await reloaded();
    port.setHooks(undefined);
    this.state = 'stopped';
    tell('stopped');
  }

  /** Listeners stay open, whoever dies is replaced, and every answer tells its client to come back on another connection. */
  async #serveOn() {
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      const countdown = new Countdown(this.#ways.options.stopDelay, () => this.#endServingOn?.());
      this.#endServingOn = () => {
        this.#endServingOn = undefined;
        countdown.stop();
        resolve();
      };
      for (const occupant of this.#ways.alive) occupant.makeLastCall();
    });
  }

  /**
   * The whole group may have been told to end, and some end at once: what they had not taken is for the others, who must not
   * think that nothing comes any more.
   *
   * @param {import('./occupant.js').Occupant[]} occupants
   */
  async #untilGroupKnows(occupants) {
    if (!this.#ways.options.signals) return;
    await sleep(GROUP_TIME / 4);
    if (occupants.some(({ gotSigterm, state }) => gotSigterm || state === 'exited')) await sleep(GROUP_TIME);
  }
}

function stopping() {
  return ours('ERR_RCLUSTER_STOPPED', 'The supervisor is stopping');
}

module.exports = { Ending, stopping };
