'use strict';

// Whether this primary can be replaced by another one now, and what becomes of it when it is: one upgrade at a time.

const { ours } = require('../../errors.js');

/**
 * @typedef {Omit<import('./upgrade.js').Given, 'origin' | 'env' | 'hasKeeper' | 'finish' | 'onFailed'>} Known
 * @typedef {{ moved: number, finished: number, cut: number, time: number }} Became What became of the connections of a worker.
 */

class Succession {
  /** @type {import('./upgrade.js').Upgrade | undefined} */
  #upgrade;
  #known;
  #leave;
  #alive;

  /**
   * @param {Known} known What an upgrade needs to know of us.
   * @param {Set<import('../occupant.js').Occupant>} alive All workers that have not exited.
   * @param {(finished: Promise<void> | undefined) => void} leave Another primary serves: nothing is watched, replaced or told any more.
   */
  constructor(known, alive, leave) {
    this.#known = known;
    this.#alive = alive;
    this.#leave = leave;
  }

  get isUnderWay() {
    return this.#upgrade !== undefined;
  }

  /**
   * The service is to stop. Once another primary has been told to take over, that is its business, and what is to be waited for is returned.
   *
   * @param {boolean} isForNext
   */
  stop(isForNext) {
    return this.#upgrade?.stop(isForNext) ? this.#upgrade.finished : undefined;
  }

  /**
   * Resolves when our workers have finished.
   *
   * @param {object} given
   * @param {import('./origin.js').Origin} given.origin
   * @param {NodeJS.ProcessEnv} [given.env]
   * @param {boolean} given.hasKeeper
   */
  async begin({ origin, env, hasKeeper }) {
    const why = this.#whyNot(hasKeeper);
    if (why !== undefined) throw upgrading(why);
    let Upgrade;
    try {
      ({ Upgrade } = require('./upgrade.js'));
    } catch (error) {
      // It is loaded when it is needed, and then there may be no file descriptors left.
      const text = `The upgrade failed, the old primary goes on: the new one could not be started: ${/** @type {Error} */ (error).message}`;
      throw ours('ERR_RCLUSTER_UPGRADE_FAILED', text);
    }
    this.#upgrade = new Upgrade({
      ...this.#known,
      origin,
      env,
      hasKeeper,
      finish: () => this.#finish(),
      onFailed: () => void (this.#upgrade = undefined),
    });
    return this.#upgrade.done;
  }

  /** @param {boolean} hasKeeper Who has started us gives the new one a message channel, too. */
  #whyNot(hasKeeper) {
    if (this.#upgrade) return 'an upgrade is under way already';
    if (this.#known.newSide?.isDependent) return 'this primary has not taken over from the one before it yet';
    if (process.channel && !hasKeeper) return 'this primary has a message channel to the process that started it, which a new one would not have';
    return undefined;
  }

  /** @returns {Promise<Became[]>} */
  #finish() {
    this.#leave(this.#upgrade?.finished);
    return Promise.all([...this.#alive].map(async (occupant) => {
      // What one that was leaving already has passed on is counted where it went.
      const open = occupant.state === 'retiring' ? occupant.board.active : Infinity;
      const became = await occupant.retire();
      const moved = Math.min(became.moved, open);
      return { ...became, moved, finished: Math.min(became.finished, open - moved) };
    }));
  }
}

/** @param {string} why */
function upgrading(why) {
  return ours('ERR_RCLUSTER_UPGRADING', `That cannot be now: ${why}`);
}

module.exports = { Succession, upgrading };
