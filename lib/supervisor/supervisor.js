'use strict';

// Keeps a service running: so many workers, replaced when they die, hang or grow, and all of them on a reload.

const EventEmitter = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { ours } = require('../errors.js');
const { Countdown } = require('./countdown.js');
const { Crashes } = require('./crashes.js');
const { Endpoint } = require('./endpoint.js');
const { Occupant } = require('./occupant.js');
const options = require('./options.js');
const { workerOutputs } = require('./outputs.js');
const { ReloadQueue, reloadAll } = require('./reload.js');
const { GROUP_TIME, Seat } = require('./seat.js');
const { SeatAddresses } = require('./seat_listen.js');
const { inheritedSockets, notifyManager, reapOrphans, socketStore, withoutManagerVariables } = require('./service_manager.js');
const { handleSignals } = require('./signals.js');
const { NewSide } = require('./upgrade/new_side.js');
const { origin } = require('./upgrade/origin.js');
const { Watchdog } = require('./watchdog.js');

/** A worker may take at most so many times `readyTimeout`, even if another one took longer. */
const MOST_PATIENCE = 6;
/** How long (ms) after all are ready a socket of the primary before us waits for somebody who asks for it. */
const UNCLAIMED = 5000;

/** Emits `ready`, `restart`, `hang`, `memory`, `crash-loop`, `reload`, `stopped` and others: see index.d.ts. */
class Supervisor extends EventEmitter {
  #port;
  #options;
  /** @type {Seat[]} */
  #seats = [];
  /** @type {SeatAddresses} */
  #addresses;
  /** All workers that have not exited, those that are leaving included. @type {Set<Occupant>} */
  #alive = new Set();
  #crashes;
  /** @type {Watchdog} */
  #watchdog;
  #allWereReady = false;
  #isWaiting = false;
  /** ms that the slowest worker took to get ready. */
  #longestStart = 0;
  /** @type {ReloadQueue<import('./reload.js').ReloadReport>} */
  #reloads = new ReloadQueue(() => this.#reload());
  /** @type {Promise<void> | undefined} */
  #stopping;
  /** @type {'running' | 'stopping' | 'stopped'} */
  #state = 'running';
  /** Serves on for a while, though it is to be stopped: calling this ends that. @type {(() => void) | undefined} */
  #endServingOn;
  #mayServeOn = true;
  #isForNext = false;
  /** @type {Promise<void>} */
  #firstReady;
  #resolveReady = () => {};
  /** @type {(error: Error) => void} */
  #rejectReady = () => {};
  /** @type {import('./seat.js').Service} */
  #service;
  #outputs;
  /** Our part in the upgrade that has brought us. */
  #newSide;
  /** The upgrade to another primary. @type {import('./upgrade/upgrade.js').Upgrade | undefined} */
  #upgrade;
  #origin = origin();
  #manager;
  /** Whether the count of workers is not what the options say. */
  #isScaled = false;
  #ignoreSignals = () => {};
  #stopTelling = () => {};
  #endpoint;

  /**
   * @param {import('../primary/port.js').Port} port
   * @param {unknown} given
   */
  constructor(port, given) {
    super();
    this.#options = options.parse(given);
    this.#newSide = NewSide.begin(process.env);
    this.#port = this.#newSide?.wrap(port) ?? port;
    this.#crashes = new Crashes(this.#options);
    this.#service = {
      options: this.#options,
      newOccupant: (prospects) => this.#newOccupant(prospects),
      occupants: () => this.#occupants,
      allListen: () => this.#allWereReady && this.#occupants.every(({ listened }) => listened),
      patience: () => this.#patience,
      isStopping: () => this.#stopping !== undefined && !this.#endServingOn,
      isToStop: () => this.#stopping !== undefined,
      onUsable: (occupant) => this.#onUsable(occupant),
      onCrash: (occupant) => this.#onCrash(occupant),
      tell: (event, payload) => void this.emit(event, payload),
    };
    this.#firstReady = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    handled(this.#firstReady);
    this.#endpoint = new Endpoint({
      newSide: this.#newSide,
      occupants: () => this.#occupants,
      script: () => this.#port.script(),
      now: () => ({
        state: this.#stateInWords,
        ready: this.#seats.filter(({ occupant }) => occupant?.state === 'ready').length,
        workers: this.#seats.length,
        minReady: this.#options.minReady,
      }),
      onTold: (error, address) => this.#onEndpoint(error, address),
    });
    const manager = withoutManagerVariables(process.env);
    this.#manager = manager;
    this.#outputs = workerOutputs(manager);
    port.setup(this.#options.settings, this.#options.policy);
    const store = socketStore(manager);
    port.useSockets([...inheritedSockets(manager), ...(this.#newSide?.sockets ?? [])], this.#newSide ? this.#newSide.wrapStore(store) : store);
    const closeUnclaimed = () => void setTimeout(() => port.closeUnclaimed(), UNCLAIMED).unref();
    this.once('ready', () => (this.#newSide ? this.#newSide.whenMain(closeUnclaimed) : closeUnclaimed()));
    if (this.#options.proxyProtocol) port.expectHeaders(this.#options.proxyProtocol);
    this.#addresses = new SeatAddresses(port, this.#options.seatListen, this.#options.drainTimeout);
    this.#start();
    const tellManager = (/** @type {boolean} */ isReady) => void (this.#stopTelling = notifyManager(this, manager, isReady));
    if (this.#newSide) this.#newSide.whenMain(() => tellManager(this.#allWereReady));
    else tellManager(false);
    if (this.#options.appMetrics) this.#endpoint.gatherMetrics();
    if (this.#options.health) {
      // Before others hear of it, who may end the process.
      this.once('stopped', () => this.#endpoint.close());
      this.#endpoint.open(this.#options.health);
    }
    reapOrphans(port.pids);
    if (this.#options.signals) this.#ignoreSignals = handleSignals(this);
    this.once('stopped', () => this.#ignoreSignals());
    port.setHooks({
      one: (worker) => this.#onDisconnectAsked(worker),
      all: () => this.stop(),
      isRecovering: () => !this.#stopping && this.#seats.some((seat) => seat.isRecovering),
    });
    this.#watchdog = new Watchdog(port, this.#options, {
      occupants: () => this.#occupants,
      onHang: (occupant, time) => this.#onHang(occupant, time),
      onMemory: (occupant, bytes) => this.#onMemory(occupant, bytes),
    });
    this.#newSide?.serve(this);
  }

  /** What no worker can be started with is for the caller to hear, before anything else has begun. */
  #start() {
    const count = this.#newSide?.count ?? this.#options.workers;
    this.#addresses.open(count);
    const error = this.#addSeat().startError;
    if (error) {
      this.#seats[0].abandon();
      void this.#addresses.close(0);
      throw error;
    }
    this.#isScaled = count !== this.#options.workers;
    while (this.#seats.length < count) this.#addSeat();
  }

  /** What the workers count with prom-client, all together; nothing where nobody has asked for that (`appMetrics`). */
  appMetrics() {
    return this.#endpoint.metrics();
  }

  /**
   * @param {Error | undefined} error
   * @param {string} address
   */
  #onEndpoint(error, address) {
    if (error) {
      this.#rejectReady(error);
      void this.kill();
    }
    this.emit('health', { address, error });
  }

  get #stateInWords() {
    return this.#reloads.isBusy && this.#state === 'running' ? /** @type {const} */ ('reloading') : this.#state;
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

  /**
   * A listener that throws keeps neither us nor the other listeners from anything.
   *
   * @override
   * @param {string | symbol} event
   * @param {unknown[]} args
   */
  emit(event, ...args) {
    const listeners = this.rawListeners(event);
    for (const listener of listeners) {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        const what = error instanceof Error ? error.stack : String(error);
        process.emitWarning(`A listener of '${String(event)}' failed: ${what}`, { code: 'RCLUSTER_LISTENER' });
      }
    }
    return listeners.length > 0;
  }

  /** Those that have a seat and do their work, or are taken to. */
  get #occupants() {
    return this.#seats.flatMap(({ occupant }) => (occupant?.isUsable ? [occupant] : []));
  }

  /** ms that a worker may take to get ready: if one took longer than it should, another one may, too. */
  get #patience() {
    const { readyTimeout } = this.#options;
    return Math.max(readyTimeout, Math.min(this.#longestStart * 2, readyTimeout * MOST_PATIENCE));
  }

  #addSeat() {
    // Dense: when the service gets smaller, the highest go.
    const seat = new Seat(this.#seats.length, this.#service);
    this.#seats.push(seat);
    return seat.fill();
  }

  /** @param {import('./occupant.js').Prospects} prospects */
  #newOccupant(prospects) {
    const occupant = new Occupant(this.#port, this.#options, prospects, this.#outputs);
    this.#alive.add(occupant);
    occupant.once('exit', () => this.#alive.delete(occupant));
    return occupant;
  }

  /** @param {Occupant} occupant */
  #onUsable(occupant) {
    if (this.#endServingOn) occupant.makeLastCall();
    if (occupant.state === 'ready') {
      this.#longestStart = Math.max(this.#longestStart, occupant.uptime);
    } else if (!this.#isWaiting && !this.#allWereReady) {
      this.#isWaiting = true;
      this.emit('waiting', { pid: occupant.pid, time: occupant.uptime });
    }
    this.#lookWhetherAllAreReady();
  }

  #lookWhetherAllAreReady() {
    if (this.#allWereReady || this.#stopping || !this.#seats.every(({ occupant }) => occupant?.state === 'ready')) return;
    this.#allWereReady = true;
    this.#resolveReady();
    this.emit('ready');
  }

  /** @param {Occupant} occupant */
  #onCrash(occupant) {
    const loop = this.#crashes.onCrash(occupant, this.#alive, this.#occupants);
    if (!loop) return;
    if (loop.fatal) {
      this.#rejectReady(loop.error);
      void this.#stopSoon();
    }
    this.emit('crash-loop', loop);
  }

  /**
   * @param {Occupant} occupant
   * @param {number} time
   */
  #onHang(occupant, time) {
    const { hangSignal } = this.#options;
    // Whoever survives the one dies of the other.
    occupant.kill(occupant.hung ? 'SIGKILL' : hangSignal, `did not turn its event loop for ${time} ms`);
    occupant.hung = true;
    this.emit('hang', { pid: occupant.pid, time });
  }

  /**
   * @param {Occupant} occupant
   * @param {number} bytes
   */
  #onMemory(occupant, bytes) {
    const delay = this.#seats.find((seat) => seat.occupant === occupant)?.replaceLater();
    if (delay !== undefined) this.emit('memory', { pid: occupant.pid, bytes, delay });
  }

  /**
   * `worker.disconnect()` of a supervised worker: replaced, and nothing lost.
   *
   * @param {any} worker
   * @returns {boolean} Whether it is one of ours.
   */
  #onDisconnectAsked(worker) {
    const occupant = [...this.#alive].find((one) => one.worker === worker);
    this.#seats.find((seat) => seat.occupant === occupant)?.replaceSoon();
    return occupant !== undefined;
  }

  /**
   * Replaces all workers, one after the other (or `reloadParallel` at a time). Asked for during a reload, it comes after it:
   * what was started before may be of an older version. Several that wait are one. When a new worker fails, the old ones that
   * are left stay, and it rejects.
   */
  reload() {
    if (this.#stopping) return handled(Promise.reject(stopping()));
    if (this.#upgrade) return handled(Promise.reject(upgrading('an upgrade is under way, and starts all workers anew')));
    return handled(this.#reloads.ask());
  }

  /**
   * Replaces this primary by one that is started as it was, from what is there now. A reload that is under way comes first. Resolves when
   * our workers have finished: this process has nothing left to do by then, and ends. When the new one fails, all is as it was before.
   */
  upgrade() {
    return this.upgradeTo({});
  }

  /**
   * The same, to one that a keeper of the process manager wants: started like this, with this environment.
   *
   * @param {{ origin?: import('./upgrade/origin.js').Origin, env?: NodeJS.ProcessEnv, hasKeeper?: boolean }} given
   */
  upgradeTo({ origin: from = this.#origin, env, hasKeeper = false }) {
    if (this.#stopping) return handled(Promise.reject(stopping()));
    const why = this.#whyNoUpgrade(hasKeeper);
    if (why !== undefined) return handled(Promise.reject(upgrading(why)));
    let Upgrade;
    try {
      ({ Upgrade } = require('./upgrade/upgrade.js'));
    } catch (error) {
      // It is loaded when it is needed, and then there may be no file descriptors left.
      const text = `The upgrade failed, the old primary goes on: the new one could not be started: ${/** @type {Error} */ (error).message}`;
      return handled(Promise.reject(ours('ERR_RCLUSTER_UPGRADE_FAILED', text)));
    }
    this.#upgrade = new Upgrade({
      supervisor: this,
      port: this.#port,
      manager: this.#manager,
      origin: from,
      env,
      hasKeeper,
      newSide: this.#newSide,
      patience: () => this.#patience,
      count: () => (this.#isScaled ? this.#seats.length : undefined),
      health: () => ({ place: this.#options.health, fd: this.#endpoint.fd() }),
      reloaded: () => this.#reloads.idle(),
      finish: () => this.#finishForNext(),
      onFailed: () => void (this.#upgrade = undefined),
    });
    return handled(this.#upgrade.done);
  }

  /** @param {boolean} hasKeeper Who has started us gives the new one a message channel, too. */
  #whyNoUpgrade(hasKeeper) {
    if (this.#upgrade) return 'an upgrade is under way already';
    if (this.#newSide?.isDependent) return 'this primary has not taken over from the one before it yet';
    if (process.channel && !hasKeeper) return 'this primary has a message channel to the process that started it, which a new one would not have';
    return undefined;
  }

  /** Another primary serves. Resolves to what became of the connections of each worker. */
  #finishForNext() {
    // First, as it is answered by what holds now.
    this.#endpoint.leave();
    // Nobody stops us any more; the other one is told.
    this.#stopping ??= this.#upgrade?.finished;
    this.#state = 'stopping';
    this.#ignoreSignals();
    this.#stopTelling();
    this.#watchdog.stop();
    for (const seat of this.#seats) seat.abandon();
    return Promise.all([...this.#alive].map(async (occupant) => {
      // What one that was leaving already has passed on is counted where it went.
      const open = occupant.state === 'retiring' ? occupant.board.active : Infinity;
      const became = await occupant.retire();
      const moved = Math.min(became.moved, open);
      return { ...became, moved, finished: Math.min(became.finished, open - moved) };
    }));
  }

  async #reload() {
    this.emit('reloading');
    const parallel = this.#options.reloadParallel;
    const reload = reloadAll(this.#seats, { parallel, isStopping: () => this.#stopping !== undefined });
    const outcome = await reload.then((report) => ({ report, error: undefined }), (error) => ({ report: error.report, error }));
    // Whoever listens may ask whether we are reloading.
    this.#reloads.isOver();
    this.emit('reload', outcome.error ? { ...outcome.report, error: outcome.error } : outcome.report);
    if (outcome.error) throw outcome.error;
    return outcome.report;
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
    options.seatsFor(this.#options.seatListen, wanted);
    // One that is still being closed may be wanted again.
    await this.#addresses.closed;
    if (this.#stopping) throw stopping();
    if (this.#upgrade) throw upgrading('an upgrade is under way');
    this.#isScaled = true;
    this.#addresses.open(Math.max(wanted, this.#seats.length));
    const added = [];
    while (this.#seats.length < wanted) added.push(this.#addSeat().usable);
    const surplus = this.#seats.splice(wanted);
    this.#lookWhetherAllAreReady();
    await this.#addresses.close(wanted);
    await Promise.all([...added, ...surplus.map((seat) => seat.vacate())]);
  }

  /**
   * Lets all workers finish what they have, and ends. A reload that is under way is given up. Before that all is served as ever for
   * `stopDelay`: whoever sends us clients is just hearing that we end.
   */
  stop() {
    // Once it has been told to take over, it is the new primary that stops; we are about to end anyway.
    if (this.#upgrade?.stop(this.#isForNext)) return this.#upgrade.finished;
    return (this.#stopping ??= this.#stop());
  }

  /** The same, without serving on. */
  #stopSoon() {
    this.#mayServeOn = false;
    this.#endServingOn?.();
    return this.stop();
  }

  /** The same, but the listening sockets stay with the manager that started us, for a primary that comes next. */
  stopForNext() {
    this.#isForNext = true;
    this.#port.leaveSockets();
    return this.#stopSoon();
  }

  async #stop() {
    this.#state = 'stopping';
    // Those who asked for it see it as `stopping` before anything happens.
    await null;
    this.emit('stopping');
    if (this.#options.stopDelay > 0 && this.#allWereReady && this.#mayServeOn) await this.#serveOn();
    this.#watchdog?.stop();
    for (const seat of this.#seats) seat.abandon();
    const occupants = [...this.#alive];
    const handedOver = this.#port.finish(occupants.flatMap(({ worker }) => (worker ? [worker] : [])));
    const retired = Promise.all(occupants.map((occupant) => occupant.retire({ last: true })));
    await handedOver;
    await this.#untilGroupKnows(occupants);
    for (const occupant of occupants) occupant.nothingComes();
    await retired;
    await this.#reloads.idle();
    this.#rejectReady(ours('ERR_RCLUSTER_STOPPED', 'The supervisor was stopped'));
    this.#port.setHooks(undefined);
    this.#state = 'stopped';
    this.emit('stopped');
  }

  /** Listeners stay open, whoever dies is replaced, and every answer tells its client to come back on another connection. */
  async #serveOn() {
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      const countdown = new Countdown(this.#options.stopDelay, () => this.#endServingOn?.());
      this.#endServingOn = () => {
        this.#endServingOn = undefined;
        countdown.stop();
        resolve();
      };
      for (const occupant of this.#alive) occupant.makeLastCall();
    });
  }

  /**
   * The whole group may have been told to end, and some end at once: what they had not taken is for the others, who must not
   * think that nothing comes any more.
   *
   * @param {Occupant[]} occupants
   */
  async #untilGroupKnows(occupants) {
    if (!this.#options.signals) return;
    await sleep(GROUP_TIME / 4);
    if (occupants.some(({ gotSigterm, state }) => gotSigterm || state === 'exited')) await sleep(GROUP_TIME);
  }

  /** Ends all workers at once. */
  kill() {
    const stopped = this.#stopSoon();
    for (const occupant of this.#alive) occupant.kill('SIGKILL');
    return stopped;
  }

  /** What each worker is doing. */
  status() {
    const inSeats = new Set(this.#seats.map(({ occupant }) => occupant));
    const leaving = [...this.#alive].filter((occupant) => occupant.state === 'retiring' && !inSeats.has(occupant));
    return {
      state: this.#stateInWords,
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

/** @param {string} why */
function upgrading(why) {
  return ours('ERR_RCLUSTER_UPGRADING', `That cannot be now: ${why}`);
}

function stopping() {
  return ours('ERR_RCLUSTER_STOPPED', 'The supervisor is stopping');
}

module.exports = { Supervisor };
