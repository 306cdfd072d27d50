'use strict';

// Keeps a service running: so many workers, replaced when they die, hang or grow, and all of them on a reload.

const { ours } = require('../errors.js');
const { Crashes } = require('./crashes.js');
const { Crew } = require('./crew.js');
const { Emitter } = require('./emitter.js');
const { Ending, stopping } = require('./ending.js');
const { Endpoint } = require('./endpoint.js');
const { FirstReady } = require('./first_ready.js');
const { Occupant } = require('./occupant.js');
const options = require('./options.js');
const { workerOutputs } = require('./outputs.js');
const { ReloadQueue, reloadAll } = require('./reload.js');
const { SeatAddresses } = require('./seat_listen.js');
const { inheritedSockets, notifyManager, reapOrphans, socketStore, withoutManagerVariables } = require('./service_manager.js');
const { handleSignals } = require('./signals.js');
const { NewSide } = require('./upgrade/new_side.js');
const { origin } = require('./upgrade/origin.js');
const { Succession, upgrading } = require('./upgrade/succession.js');
const { Watchdog } = require('./watchdog.js');

/** How long (ms) after all are ready a socket of the primary before us waits for somebody who asks for it. */
const UNCLAIMED = 5000;

/** Emits `ready`, `restart`, `hang`, `memory`, `crash-loop`, `reload`, `stopped` and others: see index.d.ts. */
class Supervisor extends Emitter {
  #port;
  #options;
  /** @type {SeatAddresses} */
  #addresses;
  /** @type {Crew} */
  #crew;
  #crashes;
  /** @type {Watchdog} */
  #watchdog;
  #firstReady;
  /** @type {ReloadQueue<import('./reload.js').ReloadReport>} */
  #reloads = new ReloadQueue(() => this.#reload());
  /** @type {Ending} */
  #ending;
  /** Our part in the upgrade that has brought us. */
  #newSide;
  #succession;
  #origin = origin();
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
    this.#firstReady = new FirstReady(this.#options.readyTimeout, (event, ...rest) => void this.emit(event, ...rest));
    const manager = withoutManagerVariables(process.env);
    const outputs = workerOutputs(manager);
    this.#crew = new Crew((prospects) => new Occupant(this.#port, this.#options, prospects, outputs), {
      options: this.#options,
      allListen: () => this.#firstReady.hasCome && this.#crew.occupants.every(({ listened }) => listened),
      patience: () => this.#firstReady.patience,
      isStopping: () => this.#ending.hasBegun && !this.#ending.isServingOn,
      isToStop: () => this.#ending.hasBegun,
      onUsable: (occupant) => this.#onUsable(occupant),
      onCrash: (occupant) => this.#onCrash(occupant),
      tell: (event, payload) => void this.emit(event, payload),
    });
    this.#endpoint = new Endpoint({
      newSide: this.#newSide,
      occupants: () => this.#crew.occupants,
      script: () => this.#port.script(),
      now: () => ({
        state: this.#stateInWords,
        ready: this.#crew.ready,
        workers: this.#crew.seats.length,
        minReady: this.#options.minReady,
      }),
      onTold: (error, address) => this.#onEndpoint(error, address),
    });
    this.#ending = new Ending({
      port: this.#port,
      options: this.#options,
      alive: this.#crew.alive,
      wereAllReady: () => this.#firstReady.hasCome,
      letGo: () => this.#letGo(),
      reloaded: () => this.#reloads.idle(),
      tell: (event) => this.#onEnding(event),
    });
    this.#succession = new Succession({
      supervisor: this,
      port: this.#port,
      manager,
      newSide: this.#newSide,
      patience: () => this.#firstReady.patience,
      count: () => (this.#isScaled ? this.#crew.seats.length : undefined),
      health: () => ({ place: this.#options.health, fd: this.#endpoint.fd() }),
      reloaded: () => this.#reloads.idle(),
    }, this.#crew.alive, (finished) => this.#leaveTo(finished));
    port.setup(this.#options.settings, this.#options.policy);
    const store = socketStore(manager);
    port.useSockets([...inheritedSockets(manager), ...(this.#newSide?.sockets ?? [])], this.#newSide ? this.#newSide.wrapStore(store) : store);
    const closeUnclaimed = () => void setTimeout(() => port.closeUnclaimed(), UNCLAIMED).unref();
    this.once('ready', () => (this.#newSide ? this.#newSide.whenMain(closeUnclaimed) : closeUnclaimed()));
    if (this.#options.proxyProtocol) port.expectHeaders(this.#options.proxyProtocol);
    this.#addresses = new SeatAddresses(port, this.#options.seatListen, this.#options.drainTimeout);
    this.#start();
    const tellManager = (/** @type {boolean} */ isReady) => void (this.#stopTelling = notifyManager(this, manager, isReady));
    if (this.#newSide) this.#newSide.whenMain(() => tellManager(this.#firstReady.hasCome));
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
      isRecovering: () => !this.#ending.hasBegun && this.#crew.seats.some((seat) => seat.isRecovering),
    });
    this.#watchdog = new Watchdog(port, this.#options, {
      occupants: () => this.#crew.occupants,
      onHang: (occupant, time) => this.#onHang(occupant, time),
      onMemory: (occupant, bytes) => this.#onMemory(occupant, bytes),
    });
    this.#newSide?.serve(this);
  }

  /** What no worker can be started with is for the caller to hear, before anything else has begun. */
  #start() {
    const count = this.#newSide?.count ?? this.#options.workers;
    this.#addresses.open(count);
    const error = this.#crew.add().startError;
    if (error) {
      this.#crew.abandon();
      void this.#addresses.close(0);
      throw error;
    }
    this.#isScaled = count !== this.#options.workers;
    while (this.#crew.seats.length < count) this.#crew.add();
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
      this.#firstReady.fail(error);
      void this.kill();
    }
    this.emit('health', { address, error });
  }

  get #stateInWords() {
    const { state } = this.#ending;
    return this.#reloads.isBusy && state === 'running' ? /** @type {const} */ ('reloading') : state;
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
    return this.#firstReady.promise;
  }

  /** @param {Occupant} occupant */
  #onUsable(occupant) {
    if (this.#ending.isServingOn) occupant.makeLastCall();
    this.#firstReady.onUsable(occupant);
    this.#lookWhetherAllAreReady();
  }

  #lookWhetherAllAreReady() {
    if (!this.#ending.hasBegun && this.#crew.ready === this.#crew.seats.length) this.#firstReady.come();
  }

  /** @param {Occupant} occupant */
  #onCrash(occupant) {
    const loop = this.#crashes.onCrash(occupant, this.#crew.alive, this.#crew.occupants);
    if (!loop) return;
    if (loop.fatal) {
      this.#firstReady.fail(loop.error);
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
    const delay = this.#crew.seatOf(occupant)?.replaceLater();
    if (delay !== undefined) this.emit('memory', { pid: occupant.pid, bytes, delay });
  }

  /**
   * `worker.disconnect()` of a supervised worker: replaced, and nothing lost.
   *
   * @param {any} worker
   * @returns {boolean} Whether it is one of ours.
   */
  #onDisconnectAsked(worker) {
    const occupant = [...this.#crew.alive].find((one) => one.worker === worker);
    if (!occupant) return false;
    this.#crew.seatOf(occupant)?.replaceSoon();
    return true;
  }

  /**
   * Replaces all workers, one after the other (or `reloadParallel` at a time). Asked for during a reload, it comes after it:
   * what was started before may be of an older version. Several that wait are one. When a new worker fails, the old ones that
   * are left stay, and it rejects.
   */
  reload() {
    if (this.#ending.hasBegun) return handled(Promise.reject(stopping()));
    if (this.#succession.isUnderWay) return handled(Promise.reject(upgrading('an upgrade is under way, and starts all workers anew')));
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
    return handled(this.#ending.hasBegun ? Promise.reject(stopping()) : this.#succession.begin({ origin: from, env, hasKeeper }));
  }

  /**
   * Another primary serves.
   *
   * @param {Promise<void> | undefined} finished
   */
  #leaveTo(finished) {
    // First, as it is answered by what holds now.
    this.#endpoint.leave();
    // The other one is told, too.
    this.#ending.leaveTo(finished);
    this.#ignoreSignals();
    this.#stopTelling();
    this.#letGo();
  }

  /** Nobody is watched, and nobody who dies is replaced. */
  #letGo() {
    this.#watchdog?.stop();
    this.#crew.abandon();
  }

  /** @param {'stopping' | 'stopped'} event */
  #onEnding(event) {
    if (event === 'stopped') this.#firstReady.fail(ours('ERR_RCLUSTER_STOPPED', 'The supervisor was stopped'));
    this.emit(event);
  }

  async #reload() {
    this.emit('reloading');
    const parallel = this.#options.reloadParallel;
    const reload = reloadAll(this.#crew.seats, { parallel, isStopping: () => this.#ending.hasBegun });
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
    if (this.#ending.hasBegun) throw stopping();
    if (this.#succession.isUnderWay) throw upgrading('an upgrade is under way');
    this.#isScaled = true;
    this.#addresses.open(Math.max(wanted, this.#crew.seats.length));
    const added = [];
    while (this.#crew.seats.length < wanted) added.push(this.#crew.add().usable);
    const surplus = this.#crew.cut(wanted);
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
    return this.#succession.stop(this.#ending.isForNext) ?? this.#ending.begin();
  }

  /** The same, without serving on. */
  #stopSoon() {
    this.#ending.beSoon();
    return this.stop();
  }

  /** The same, but the listening sockets stay with the manager that started us, for a primary that comes next. */
  stopForNext() {
    this.#ending.beForNext();
    return this.#stopSoon();
  }

  /** Ends all workers at once. */
  kill() {
    const stopped = this.#stopSoon();
    for (const occupant of this.#crew.alive) occupant.kill('SIGKILL');
    return stopped;
  }

  /** What each worker is doing. */
  status() {
    return { state: this.#stateInWords, ...this.#crew.status() };
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

module.exports = { Supervisor };
