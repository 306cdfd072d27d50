'use strict';

// The primary: `cluster` as the process that forks sees it.

const EventEmitter = require('node:events');

const { MessageChannel } = require('./channel/channel.js');
const { MESSAGES } = require('./control.js');
const { coded, errnoOf, malformed } = require('./errors.js');
const { hears } = require('./heard.js');
const { Listeners } = require('./listeners.js');
const { load } = require('./native.js');
const { debugProcess } = require('./node/process.js');
const { POLICIES, assertPolicy, definePolicy } = require('./policies.js');
const { captureAsToldLater } = require('./primary/capture.js');
const { EVENTS: LIFE_EVENTS } = require('./primary/life.js');
const { Ties } = require('./primary/ties.js');
// When descriptors have run out nothing can be loaded any more.
const { closedChannel, unmadeProcess } = require('./primary/unmade.js');
const settings = require('./settings.js');
const { LinkError, spawnWorker } = require('./spawn.js');

const { stringify } = JSON;

/**
 * More addresses than any program listens on in one worker: each costs the primary a descriptor. Where there are few descriptors,
 * a part of them, but not less than some program might need.
 */
const MOST_LISTENERS = 10_000;
const NEEDED_LISTENERS = 1024;
function mostListeners() {
  const share = load().descriptorShare();
  return Math.min(MOST_LISTENERS, Math.max(share, Math.min(NEEDED_LISTENERS, 4 * share)));
}

/** Messages that are events of a worker's life. The rest is a supervisor's. */
const EVENTS = new Set(LIFE_EVENTS.filter((event) => Object.hasOwn(MESSAGES, event) && MESSAGES[event].from === 'worker'));

/**
 * The primary's end of the channel to a process, and what is made of it.
 *
 * @typedef {{ channel: MessageChannel, worker: any, isHeard: (isInternal: boolean) => boolean }} Opened
 */

/**
 * What the primary asks a supervisor.
 *
 * @typedef {object} SupervisionHooks
 * @property {(worker: any) => boolean} one `worker.disconnect()` was called. Returns whether that is taken care of.
 * @property {() => Promise<void>} all `cluster.disconnect()` was called.
 * @property {() => boolean} isRecovering Whether workers are missing, and will be started.
 */

/**
 * What a supervisor needs of the primary.
 *
 * @typedef {object} Core
 * @property {(settings: object, policy: number | undefined) => void} setup
 * @property {(env: NodeJS.ProcessEnv | undefined, extra: { supervised: object, held: boolean }) => any} fork
 * @property {(worker: any, listener: (message: any) => void) => void} onControl
 * @property {(worker: any, message: object) => void} tell
 * @property {(worker: any) => void} release Into the rotation.
 * @property {(worker: any, crashed: boolean, heir: any) => void} leave Out of the rotation. After a crash another one will
 *   come: its listeners stay open for a while even if nobody else has them. What it gives back goes to the heir, if there is one.
 * @property {(worker: any) => import('./listeners.js').ListenedOn[]} listenedOn
 * @property {(worker: any) => import('./native-types').BoardReading} board
 * @property {(worker: any) => number} lost Connections that were open in it when it ended.
 * @property {(worker: any) => void} nudge Makes an idle event loop turn.
 * @property {() => number[]} pids Of all workers that have not ended.
 * @property {Listeners['useSockets']} useSockets
 * @property {() => void} closeUnclaimed Closes what a primary before us had and nobody has asked for.
 * @property {() => void} leaveSockets What is closed from now on stays with the manager, for the primary after us.
 * @property {(workers: any[]) => Promise<void>} finish All at once out of the rotation, once they have what has come by now.
 * @property {(hooks: SupervisionHooks | undefined) => void} setHooks Who is asked from now on.
 */

/**
 * Replaces the members of the built-in module.
 *
 * @param {any} cluster
 */
function takeOver(cluster) {
  const { Worker } = cluster;
  /** @type {WeakMap<object, Ties>} */
  const ties = new WeakMap();
  /** By the acceptor's number, as long as it is theirs. @type {Map<number, any>} */
  const byNumber = new Map();
  const intercom = new EventEmitter();
  const listeners = new Listeners({
    onWarning: (text) => process.emitWarning(text, { code: 'RCLUSTER_DESCRIPTORS' }),
    onGivenUp: (number, reason) => byNumber.has(number) && giveUp(byNumber.get(number), reason),
    anotherComes: () => supervision?.isRecovering() === true,
  });
  /** @type {Set<number>} Of workers that have not ended. */
  const pids = new Set();
  let lastId = 0;
  let initialized = false;
  let policy = cluster.schedulingPolicy;

  Object.assign(cluster, POLICIES);
  definePolicy(cluster);
  captureAsToldLater(cluster);

  cluster.setupPrimary = function setupPrimary(/** @type {any} */ options) {
    const merged = settings.merge(cluster.settings, options);
    cluster.settings = merged;
    if (!initialized) {
      initialized = true;
      policy = cluster.schedulingPolicy; // As it is now, for good.
      cluster.schedulingPolicy = policy;
      assertPolicy(policy);
      process.on('internalMessage', startDebugging);
    }
    process.nextTick(() => cluster.emit('setup', merged));
  };
  cluster.setupMaster = cluster.setupPrimary;

  /** @param {any} message */
  function startDebugging(message) {
    if (message.cmd !== 'NODE_DEBUG_ENABLED') return;
    for (const worker of Object.values(cluster.workers)) {
      const debug = () => debugProcess(worker.process.pid);
      if (worker.state === 'online' || worker.state === 'listening') debug();
      else worker.once('online', debug);
    }
  }

  cluster.fork = function fork(/** @type {NodeJS.ProcessEnv | undefined} */ env) {
    return forkWorker(env);
  };

  /**
   * @param {NodeJS.ProcessEnv | undefined} env
   * @param {{ supervised?: object, held?: boolean }} [extra]
   */
  function forkWorker(env, extra = /** @type {any} */ ({ __proto__: null })) {
    cluster.setupPrimary();
    const id = ++lastId;
    const { process: child, link, opened } = startProcess(env, id, extra.supervised);
    const worker = new Worker({ id, process: child });
    const known = new Ties(link, () => listeners.acceptor, { held: extra.held, supervised: extra.supervised !== undefined });
    ties.set(worker, known);
    worker.on('message', (/** @type {any} */ message, /** @type {any} */ handle) => {
      cluster.emit('message', worker, message, handle);
    });
    if (opened) {
      known.channel = opened.channel;
      opened.worker = worker;
      opened.isHeard = hears(child, worker, cluster);
    }
    // Programs, and Node for its warning, count listeners: there are no more of ours than of the built-in module's.
    if (child.pid !== undefined) pids.add(child.pid);
    else child.once('error', () => happen(worker, link ? 'unstarted' : 'unmade'));
    child.once('exit', (/** @type {number | null} */ exitCode, /** @type {string | null} */ signalCode) => {
      pids.delete(/** @type {number} */ (child.pid));
      known.channel?.processEnded();
      happen(worker, 'exit', { exitCode, signalCode });
    });
    child.once('disconnect', () => happen(worker, 'channelEnd'));
    process.nextTick(() => cluster.emit('fork', worker));
    cluster.workers[id] = worker;
    return worker;
  }

  /**
   * @param {NodeJS.ProcessEnv | undefined} env
   * @param {number} id
   * @param {object | undefined} supervised
   * @returns {{ process: any, link?: import('./native-types').Link, opened?: Opened }} Without a link when descriptors have run
   *   out: the process emits `error` then.
   */
  function startProcess(env, id, supervised) {
    let started;
    try {
      started = spawnWorker(cluster.settings, env, id, (child, link, advanced) => openChannel(child, link, id, advanced, supervised));
    } catch (error) {
      if (error instanceof LinkError) return { process: unmadeProcess(errnoOf(error.cause)) };
      throw error;
    }
    const { process: child, link, opened } = started;
    // Without descriptors Node does not even set its streams.
    if (child.pid !== undefined || child.stdio !== undefined) return started;
    link.close();
    opened.channel.abandon();
    return { process: Object.assign(child, closedChannel(child)) };
  }

  /**
   * Opens the channel to a process that has just been started. Whether it is a worker is known when `fork` returns.
   *
   * @param {any} child
   * @param {import('./native-types').Link} link
   * @param {number} id
   * @param {boolean} advanced
   * @param {object | undefined} supervised
   */
  function openChannel(child, link, id, advanced, supervised) {
    /** @type {Opened} */
    const opened = { channel: /** @type {any} */ (undefined), worker: undefined, isHeard: () => child.listenerCount('message') > 0 };
    const hello = stringify({ id, advanced, supervised: supervised ?? null });
    opened.channel = new MessageChannel(child, (onEvent) => link.channel(hello, onEvent), {
      advanced,
      inWorker: false,
      onControl(message, fd) {
        if (opened.worker) onControl(opened.worker, message, fd);
        else if (fd >= 0) load().closeForeign(fd);
      },
      isHeard: (isInternal) => opened.isHeard(isInternal),
      onMalformed(error) {
        if (opened.worker) happen(opened.worker, 'malformed', { error });
        else process.emitWarning(`Worker ${id}: ${error.message}`, { code: 'ERR_RCLUSTER_MALFORMED_MESSAGE' });
      },
    });
    return opened;
  }

  /** @param {any} worker */
  const tiesOf = (worker) => /** @type {Ties} */ (ties.get(worker));

  /**
   * What belongs to something that has happened.
   *
   * @typedef {object} Details
   * @property {any} [message]
   * @property {number} [fd] The message's descriptor, or -1.
   * @property {number | null} [exitCode]
   * @property {string | null} [signalCode]
   * @property {boolean} [crashed] Whether another worker will take its place, although it leaves on purpose.
   * @property {string} [what] Which rule it broke.
   * @property {Error} [error] The same, as its channel says it.
   * @property {NodeJS.Signals} [signal]
   */

  /**
   * Something has happened to a worker (primary/life.js): does what is to be done.
   *
   * @param {any} worker
   * @param {import('./primary/life.js').Event} event
   * @param {Details} [details]
   */
  function happen(worker, event, details = {}) {
    for (const action of tiesOf(worker).step(event)) ACTIONS[action](worker, details, tiesOf(worker));
  }

  /** @type {Record<import('./primary/life.js').Action, (worker: any, details: Details, known: Ties) => void>} */
  const ACTIONS = {
    intend: (worker) => void (worker.exitedAfterDisconnect = true),
    answer: (_worker, { message }, known) => void known.tell({ act: 'reply', seq: message.seq }),
    tellToLeave: (_worker, _details, known) => void known.tell({ act: 'disconnect' }),
    join: (worker, { message }) => onListen(worker, message),
    accept: (_worker, { message }, known) => listeners.onAccepting(known, message.key),
    part: (_worker, { message }, known) => listeners.leave(known, message.key),
    disown: (_worker, { message }, known) => listeners.disown(known, message.key),
    move(worker, { message, fd = -1 }, known) {
      if (known.mayMove) listeners.move(known, message.key, fd, message.left >>> 0);
      else giveUp(worker, '"move" is not for it to say');
    },
    release(_worker, _details, known) {
      known.held = false;
      listeners.release(known);
    },
    endChannel: (_worker, { what = '' }, known) => known.channel?.giveUp(what),
    leaveAcceptor: (_worker, _details, known) => void byNumber.delete(known.leaveAcceptor() ?? -1),
    closeLink: (_worker, _details, known) => void known.leaveAcceptor(),
    leaveListeners: (worker, { crashed = !worker.exitedAfterDisconnect }, known) => listeners.leaveAll(known, crashed),
    unlist: removeWorker,
    unlistIfCut: (worker) => worker.isConnected() || removeWorker(worker),
    kill: (worker, { signal = 'SIGTERM' }) => worker.process.kill(signal),
    emitOnline(worker) {
      worker.state = 'online';
      worker.emit('online');
      cluster.emit('online', worker);
    },
    emitListening(worker, { message: { addressType, address, port, fd } }) {
      const info = { addressType, address, port, fd };
      worker.state = 'listening';
      worker.emit('listening', info);
      cluster.emit('listening', worker, info);
    },
    emitDisconnect(worker) {
      worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
      worker.state = 'disconnected';
      worker.emit('disconnect');
      cluster.emit('disconnect', worker);
    },
    emitExit(worker, { exitCode, signalCode }, known) {
      // Under supervision another one comes, unless this one has left on purpose.
      if (exitCode === 0 && (!supervision || worker.exitedAfterDisconnect)) listeners.closeLingering(known);
      worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
      worker.state = 'dead';
      worker.emit('exit', exitCode, signalCode);
      cluster.emit('exit', worker, exitCode, signalCode);
    },
    report,
    lookAround: closeListenersIfAlone,
  };

  /**
   * The worker broke a rule, or cannot be reached by the acceptor: it has nothing more to say.
   *
   * @param {any} worker
   * @param {string} what
   * @param {boolean} [crashed] Whether its listeners wait for somebody to take its place.
   */
  function giveUp(worker, what, crashed) {
    happen(worker, 'giveUp', { what, crashed });
  }

  /**
   * @param {any} worker
   * @param {Details} details
   * @param {Ties} known
   */
  function report(worker, { what = '', error = malformed(what) }, { supervised }) {
    if (supervised || worker.listenerCount('error') === 0) {
      process.emitWarning(`Worker ${worker.id}: ${error.message}`, { code: 'ERR_RCLUSTER_MALFORMED_MESSAGE' });
    }
    if (worker.listenerCount('error') > 0) worker.emit('error', error);
    // It may run on without a channel for as long as it likes; its place is for one that does not.
    if (supervised) worker.process.kill('SIGKILL');
  }

  /** @param {any} worker */
  function removeWorker(worker) {
    delete cluster.workers[worker.id];
    if (Object.keys(cluster.workers).length === 0) intercom.emit('disconnect');
  }

  /**
   * One that a program has made of a process of its own. It may be a worker of the built-in module's, and is told as those are.
   *
   * @param {any} worker
   */
  function disconnectOther(worker) {
    worker.exitedAfterDisconnect = true;
    if (worker.process.connected) worker.process.send({ cmd: 'NODE_CLUSTER', act: 'disconnect' });
    if (cluster.workers[worker.id] === worker) removeWorker(worker);
    return worker;
  }

  /** With no worker left, and none forked by those who were just told, nobody will serve what waits. */
  function closeListenersIfAlone() {
    setImmediate(() => {
      // Under supervision one is sure to be forked.
      if (Object.keys(cluster.workers).length === 0 && !supervision) listeners.closeLingering();
    });
  }

  cluster.disconnect = function disconnect(/** @type {(() => void) | undefined} */ callback) {
    if (supervision) {
      void supervision.all().then(() => cluster.disconnect(callback));
      return;
    }
    const workers = Object.values(cluster.workers);
    if (workers.length === 0) process.nextTick(() => intercom.emit('disconnect'));
    for (const worker of workers) if (worker.isConnected()) worker.disconnect();
    if (typeof callback === 'function') intercom.once('disconnect', callback);
  };

  /**
   * A message that makes sense (control.js).
   *
   * @param {any} worker
   * @param {any} message
   * @param {number} fd
   */
  function onControl(worker, message, fd) {
    try {
      if (EVENTS.has(message.act)) happen(worker, message.act, { message, fd });
      else tiesOf(worker).onControl(message);
    } finally {
      if (fd >= 0) load().closeForeign(fd);
    }
  }

  /**
   * @param {any} worker
   * @param {any} message
   */
  function onListen(worker, message) {
    // A worker that is leaving gets no answer, as in Node.
    if (worker.exitedAfterDisconnect) return;
    const known = tiesOf(worker);
    if (known.joined >= mostListeners()) {
      giveUp(worker, `it listens on more than ${mostListeners()} addresses`, false);
      return;
    }
    const result = listeners.join(known, message, policy);
    if (known.number !== undefined) byNumber.set(known.number, worker);
    const reply = { act: 'reply', seq: message.seq, errno: result.errno };
    if (!('entry' in result)) {
      known.tell(reply);
      return;
    }
    const { key, accepted, id, data, backlog } = result.entry;
    if (!accepted) {
      known.tell({ ...reply, key, data }, id);
      return;
    }
    const answer = { ...reply, key, data, sockname: listeners.address(result.entry), listener: id, backlog };
    listeners.withOwnSocket(known, result.entry, (fd) => void known.tell(answer, fd));
  }

  /** @type {SupervisionHooks | undefined} */
  let supervision;

  /** @type {Core} */
  const core = {
    setup(workerSettings, wantedPolicy) {
      if (wantedPolicy !== undefined) cluster.schedulingPolicy = wantedPolicy;
      cluster.setupPrimary(workerSettings);
    },
    fork: forkWorker,
    onControl: (worker, listener) => void (tiesOf(worker).onControl = listener),
    tell(worker, message) {
      const known = tiesOf(worker);
      if (/** @type {any} */ (message).act === 'drain') known.mayMove = true;
      known.tell(message);
    },
    release: (worker) => happen(worker, 'release'),
    leave(worker, crashed, heir) {
      // Before it leaves, and before what it gives back comes.
      if (heir) listeners.succeed(tiesOf(worker), tiesOf(heir));
      tiesOf(worker).crashed = crashed;
      happen(worker, 'retire', { crashed });
    },
    listenedOn: (worker) => listeners.listenedOn(tiesOf(worker)),
    board: (worker) => tiesOf(worker).board,
    lost: (worker) => tiesOf(worker).lost,
    nudge: (worker) => tiesOf(worker).nudge(),
    pids: () => [...pids],
    useSockets: (sockets, store) => listeners.useSockets(sockets, store),
    closeUnclaimed: () => listeners.closeUnclaimed(),
    leaveSockets: () => listeners.leaveSockets(),
    finish(workers) {
      for (const worker of workers) happen(worker, 'finish');
      return listeners.finish(workers.map(tiesOf));
    },
    setHooks: (hooks) => void (supervision = hooks),
  };

  cluster.supervise = function supervise(/** @type {unknown} */ options) {
    if (supervision) throw coded(Error, 'ERR_RCLUSTER_SUPERVISED', 'There is a supervisor already: stop it first');
    const { Supervisor } = require('./supervisor/supervisor.js');
    return new Supervisor(core, options);
  };

  Worker.prototype.disconnect = function disconnect() {
    if (!ties.has(this)) return disconnectOther(this);
    if (supervision?.one(this)) return this;
    happen(this, 'disconnect');
    return this;
  };

  Worker.prototype.destroy = function destroy(/** @type {NodeJS.Signals | undefined} */ signal) {
    if (ties.has(this)) happen(this, 'destroy', { signal: signal || 'SIGTERM' });
    else this.process.kill(signal || 'SIGTERM');
  };
}

module.exports = { takeOver };
