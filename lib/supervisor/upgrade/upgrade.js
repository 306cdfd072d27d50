'use strict';

// An upgrade from the old primary's point of view, with what comes before and after: whoever asked for it hears what became of it.

const { setTimeout: sleep } = require('node:timers/promises');

const { ours } = require('../../errors.js');
const { load } = require('../../native.js');
const { withoutManagerVariables } = require('../service_manager.js');
const { Line } = require('./line.js');
const { OldSide } = require('./old_side.js');
const { Parent } = require('./parent.js');

/** How often (ms) we look whether all that moves has gone over the bridge, and how long it may take. */
const LOOK = 10;
const CROSSING_TIME = 5000;
/** How long (ms) the service manager may take to read what we have told it. */
const BARRIER_TIME = 5000;

/**
 * @typedef {object} Given
 * @property {import('../supervisor.js').Supervisor} supervisor
 * @property {import('../../primary/port.js').Port} port
 * @property {import('../service_manager.js').Manager} manager
 * @property {import('./origin.js').Origin} origin How the new one is started.
 * @property {NodeJS.ProcessEnv | undefined} env What it has for its environment, if not that of this process.
 * @property {boolean} hasKeeper Whether a keeper of the process manager has started this one.
 * @property {import('./new_side.js').NewSide | undefined} newSide Our part in the upgrade that has brought us.
 * @property {() => number} patience
 * @property {() => number | undefined} count
 * @property {import('./old_side.js').Host['health']} health
 * @property {() => Promise<void>} reloaded Resolves when no reload is under way.
 * @property {() => Promise<{ moved: number, finished: number, cut: number, time: number }[]>} finish
 * @property {() => void} onFailed All is as it was before.
 */

class Upgrade {
  /** @type {OldSide | undefined} */
  #side;
  #given;
  #isStopped = false;
  #resolveFinished = () => {};

  /** @param {Given} given */
  constructor(given) {
    this.#given = given;
    /** Resolves when our workers have finished. @type {Promise<void>} */
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    /** The report. */
    this.done = this.#run();
  }

  /**
   * The service is to stop. Returns whether that is the new primary's business from now on.
   *
   * @param {boolean} forNext
   */
  stop(forNext) {
    this.#isStopped = true;
    return this.#side?.stop(forNext) ?? false;
  }

  async #run() {
    const { newSide, onFailed, reloaded, supervisor } = this.#given;
    const start = performance.now();
    await reloaded();
    try {
      if (this.#isStopped) throw ours('ERR_RCLUSTER_STOPPED', 'The upgrade was given up: the supervisor stops');
      supervisor.emit('upgrading');
      const { count, hasKeeper, health, manager, origin, patience, port } = this.#given;
      const tellKeeper = (/** @type {number} */ pid, /** @type {number} */ fd) => load().notify(`${manager.NOTIFY_SOCKET}`, `RCLUSTER_NEXT=${pid}`, [fd]) >= 0;
      const host = {
        port, options: supervisor.options, patience, count, health, origin, env: () => this.#env(), launcher: newSide?.launcher,
        tellKeeper: hasKeeper ? tellKeeper : undefined,
      };
      const side = new OldSide(host);
      this.#side = side;
      if (newSide) newSide.onLauncher = (message, fds) => side.onLauncher(message, fds);
      side.begin();
      await side.left;
    } catch (error) {
      onFailed();
      supervisor.emit('upgraded', { ...this.#report(start), error });
      throw error;
    }
    return this.#leave(start);
  }

  /** @param {number} start */
  #report(start) {
    const { heir, pid, steps } = this.#side ?? {};
    return { oldPid: process.pid, newPid: pid, ...heir, steps: { ...steps }, time: Math.round(performance.now() - start) };
  }

  /** The environment of this process now, or another one, with what the manager has said of itself. */
  #env() {
    const { env, hasKeeper, manager: { NOTIFY_SOCKET, RCLUSTER_READS, WATCHDOG_USEC } } = this.#given;
    const own = { ...(env ?? process.env) };
    withoutManagerVariables(own);
    const RCLUSTER_KEEPER = hasKeeper ? '1' : undefined;
    const said = Object.entries({ NOTIFY_SOCKET, RCLUSTER_KEEPER, RCLUSTER_READS, WATCHDOG_USEC }).filter(([, value]) => value !== undefined);
    return { ...own, ...Object.fromEntries(said) };
  }

  /** @param {number} start */
  async #leave(start) {
    const { finish, manager, newSide, origin, port, supervisor } = this.#given;
    const { launched, line, pid } = /** @type {OldSide} */ (this.#side);
    const { NOTIFY_SOCKET: address } = manager;
    // Who has started us knows no other process, unless it can be told of one. Under a parent that stays it is that one's business.
    const stays = !newSide?.launcher && (process.pid === 1 || !address);
    const parent = stays ? new Parent(origin, () => this.#env()) : undefined;
    // Before anything ends: it would think that the service has.
    if (address && !stays && !newSide?.launcher) await tellManager(address, pid);
    const finishing = finish();
    if (parent && launched && line) parent.begin(launched, line);
    line?.send({ act: 'main', stays });
    const workers = await finishing;
    const until = performance.now() + CROSSING_TIME;
    while ((port.crossing() > 0 || (line?.unsent ?? 0) > 0) && performance.now() < until) await sleep(LOOK);
    const sum = (/** @type {'moved' | 'finished' | 'cut'} */ what) => workers.reduce((all, one) => all + one[what], 0);
    const report = {
      ...this.#report(start),
      moved: sum('moved'),
      finished: sum('finished'),
      cut: sum('cut') + port.crossing(),
      drainTime: Math.max(0, ...workers.map(({ time }) => time)),
    };
    this.#resolveFinished();
    supervisor.emit('upgraded', report);
    // Whoever asked for it hears of it before we end.
    setTimeout(() => (parent ? parent.isAlone() : process.exit(0)), LOOK);
    return report;
  }
}

/**
 * The service manager's main process is another one, and it knows that when this resolves.
 *
 * @param {string} address
 * @param {number | undefined} pid
 */
async function tellManager(address, pid) {
  load().notify(address, `MAINPID=${pid}`);
  const ends = load().packetPair();
  // Without descriptors it is believed.
  if (!ends) return;
  const [here, there] = ends;
  const line = new Line(here);
  // It closes what comes with it when it has read all that came before.
  const read = new Promise((resolve) => {
    line.listen(() => {}, () => resolve(undefined));
  });
  const said = load().notify(address, 'BARRIER=1', [there]);
  load().closeFd(there);
  if (said >= 0) await Promise.race([read, sleep(BARRIER_TIME)]);
  line.close();
}

module.exports = { Upgrade };
