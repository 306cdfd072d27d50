'use strict';

// The primary: `cluster` as the process that forks sees it.

const EventEmitter = require('node:events');

const { MessageChannel } = require('./channel.js');
const { coded } = require('./errors.js');
const { Listeners } = require('./listeners.js');
const { load } = require('./native.js');
const { POLICIES, assertPolicy, fromEnvironment } = require('./policies.js');
const settings = require('./settings.js');
const { spawnWorker } = require('./spawn.js');

/**
 * What the primary knows of a worker besides what `Worker` shows.
 *
 * @typedef {object} Ties
 * @property {import('./native-types').Link} link
 * @property {MessageChannel} channel
 * @property {() => number} slot The acceptor's number for it.
 * @property {boolean} held Whether it is kept out of the rotation for the time being.
 * @property {(message: any) => void} onControl Gets what only a supervisor understands.
 * @property {number} lost Connections that were open in it when it ended.
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
 * @property {(worker: any, crashed: boolean) => void} leave Out of the rotation. After a crash another one will come: its
 *   listeners stay open for a while even if nobody else has them.
 * @property {(worker: any) => import('./native-types').BoardReading} board
 * @property {(worker: any) => number} lost Connections that were open in it when it ended.
 * @property {(worker: any) => void} nudge Makes an idle event loop turn.
 * @property {() => number[]} pids Of all workers that have not ended.
 * @property {(fds: number[]) => void} useSockets Listening sockets to use instead of binding their addresses.
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
  const intercom = new EventEmitter();
  const listeners = new Listeners(
    (text) => process.emitWarning(text, { code: 'RCLUSTER_DESCRIPTORS' }),
    () => supervision?.isRecovering() === true,
  );
  /** @type {Set<number>} Of workers that have not ended. */
  const pids = new Set();
  let lastId = 0;
  let initialized = false;
  let policy = cluster.schedulingPolicy;

  Object.assign(cluster, POLICIES);
  cluster.schedulingPolicy = fromEnvironment(process.env) ?? cluster.schedulingPolicy;

  cluster.setupPrimary = function setupPrimary(/** @type {any} */ options) {
    const merged = settings.merge(cluster.settings, options);
    cluster.settings = merged;
    if (!initialized) {
      initialized = true;
      policy = cluster.schedulingPolicy;
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
      // @ts-expect-error: not in the types.
      const debug = () => process._debugProcess(worker.process.pid);
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
  function forkWorker(env, extra = {}) {
    cluster.setupPrimary();
    const id = ++lastId;
    const link = new (load().Link)();
    let child;
    try {
      child = spawnWorker(cluster.settings, env, link.workerFd);
    } catch (error) {
      link.close();
      throw error;
    } finally {
      link.spawned();
    }
    const worker = new Worker({ id, process: child });
    tie(worker, link, extra);
    worker.on('message', (/** @type {any} */ message, /** @type {any} */ handle) => {
      cluster.emit('message', worker, message, handle);
    });
    if (child.pid !== undefined) pids.add(child.pid);
    child.once('exit', () => pids.delete(/** @type {number} */ (child.pid)));
    child.once('error', () => child.pid === undefined && link.close());
    child.once('exit', (exitCode, signalCode) => onExit(worker, exitCode, signalCode));
    child.once('disconnect', () => onDisconnect(worker));
    process.nextTick(() => cluster.emit('fork', worker));
    cluster.workers[id] = worker;
    return worker;
  }

  /**
   * Opens the channel to a worker's process.
   *
   * @param {any} worker
   * @param {import('./native-types').Link} link
   * @param {{ supervised?: object, held?: boolean }} extra
   */
  function tie(worker, link, { supervised, held = false }) {
    const advanced = cluster.settings.serialization === 'advanced';
    const hello = JSON.stringify({ id: worker.id, advanced, supervised });
    const child = worker.process;
    const channel = new MessageChannel(child, (onEvent) => link.channel(hello, onEvent), {
      advanced,
      inWorker: false,
      onControl: (message, fd) => onControl(worker, message, fd),
      deliver: (message, handle) => child.emit('message', message, handle),
      onClosed: () => {},
      onMalformed: (error) => {
        if (worker.listenerCount('error') > 0) worker.emit('error', error);
        else process.emitWarning(`Worker ${worker.id}: ${error.message}`, { code: 'ERR_RCLUSTER_MALFORMED_MESSAGE' });
      },
    });
    /** @type {number | undefined} */
    let slot;
    const addToAcceptor = () => (slot ??= listeners.acceptor.addWorker(link));
    ties.set(worker, { link, channel, slot: addToAcceptor, held, onControl: () => {}, lost: 0 });
    child.once('exit', () => {
      if (slot === undefined) link.close();
      else tiesOf(worker).lost = listeners.acceptor.removeWorker(slot);
    });
  }

  /** @param {any} worker */
  const tiesOf = (worker) => /** @type {Ties} */ (ties.get(worker));

  /**
   * @param {any} worker
   * @param {number | null} exitCode
   * @param {string | null} signalCode
   */
  function onExit(worker, exitCode, signalCode) {
    // A worker stays in the list until it has both disconnected and exited.
    if (!worker.isConnected()) {
      leaveAll(worker);
      removeWorker(worker);
    }
    // Under supervision another one comes, unless this one has left on purpose.
    if (exitCode === 0 && (!supervision || worker.exitedAfterDisconnect)) listeners.closeLingering(tiesOf(worker));
    worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    worker.state = 'dead';
    worker.emit('exit', exitCode, signalCode);
    cluster.emit('exit', worker, exitCode, signalCode);
    closeListenersIfAlone();
  }

  /** @param {any} worker */
  function onDisconnect(worker) {
    leaveAll(worker);
    if (worker.isDead()) removeWorker(worker);
    worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
    worker.state = 'disconnected';
    worker.emit('disconnect');
    cluster.emit('disconnect', worker);
    closeListenersIfAlone();
  }

  /** @param {any} worker */
  function leaveAll(worker) {
    listeners.leaveAll(tiesOf(worker), !worker.exitedAfterDisconnect);
  }

  /** @param {any} worker */
  function removeWorker(worker) {
    delete cluster.workers[worker.id];
    if (Object.keys(cluster.workers).length === 0) intercom.emit('disconnect');
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
   * @param {any} worker
   * @param {any} message
   * @param {number} fd
   */
  function onControl(worker, message, fd) {
    if (message.act === 'move') listeners.move(tiesOf(worker), message.key, fd, message.left >>> 0);
    if (fd >= 0) load().closeFd(fd);
    switch (message.act) {
      case 'online':
        worker.state = 'online';
        worker.emit('online');
        cluster.emit('online', worker);
        break;
      case 'listen':
        onListen(worker, message);
        break;
      case 'accepting':
        listeners.onAccepting(tiesOf(worker), message.key);
        break;
      case 'listening':
        onListening(worker, message);
        break;
      case 'close':
        listeners.leave(tiesOf(worker), message.key);
        break;
      case 'disown':
        listeners.disown(tiesOf(worker), message.key);
        break;
      case 'exitedAfterDisconnect':
        worker.exitedAfterDisconnect = true;
        tiesOf(worker).channel.sendControl({ act: 'reply', seq: message.seq });
        break;
      default:
        tiesOf(worker).onControl(message);
    }
  }

  /**
   * @param {any} worker
   * @param {any} message
   */
  function onListen(worker, message) {
    // A worker that is leaving gets no answer, as in Node. One that has died may have asked before.
    if (worker.exitedAfterDisconnect || worker.isDead()) return;
    const { channel } = tiesOf(worker);
    const result = listeners.join(tiesOf(worker), message, policy);
    const reply = { act: 'reply', seq: message.seq, errno: result.errno };
    if (!('entry' in result)) {
      channel.sendControl(reply);
      return;
    }
    const { key, accepted, id, data, backlog } = result.entry;
    if (!accepted) {
      channel.sendControl({ ...reply, key, data }, id);
      return;
    }
    const answer = { ...reply, key, data, sockname: listeners.address(result.entry), listener: id, backlog };
    listeners.withOwnSocket(tiesOf(worker), result.entry, (fd) => channel.sendControl(answer, fd));
  }

  /**
   * @param {any} worker
   * @param {any} message
   */
  function onListening(worker, { addressType, address, port, fd }) {
    const info = { addressType, address, port, fd };
    worker.state = 'listening';
    worker.emit('listening', info);
    cluster.emit('listening', worker, info);
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
    tell: (worker, message) => void tiesOf(worker).channel.sendControl(message),
    release(worker) {
      tiesOf(worker).held = false;
      listeners.release(tiesOf(worker));
    },
    leave(worker, crashed) {
      worker.exitedAfterDisconnect = true;
      listeners.leaveAll(tiesOf(worker), crashed);
    },
    board: (worker) => tiesOf(worker).link.readBoard(),
    lost: (worker) => tiesOf(worker).lost,
    nudge: (worker) => listeners.acceptor.nudge(tiesOf(worker).slot()),
    pids: () => [...pids],
    useSockets: (fds) => listeners.useSockets(fds),
    finish(workers) {
      for (const worker of workers) worker.exitedAfterDisconnect = true;
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
    if (supervision?.one(this)) return this;
    this.exitedAfterDisconnect = true;
    const { channel } = tiesOf(this);
    channel.sendControl({ act: 'disconnect' });
    leaveAll(this);
    removeWorker(this);
    return this;
  };

  Worker.prototype.destroy = function destroy(/** @type {NodeJS.Signals | undefined} */ signal) {
    this.process.kill(signal || 'SIGTERM');
  };
}

module.exports = { takeOver };
