'use strict';

// The primary: `cluster` as the process that forks sees it.

const { ours } = require('../errors.js');
const { captureAsToldLater } = require('../node/events.js');
const { debugProcess } = require('../node/process.js');
const { POLICIES, assertPolicy, definePolicy } = require('./policies.js');
const { makePort } = require('./port.js');
const settings = require('./settings.js');
const { Workers } = require('./workers.js');

/**
 * Replaces the members of the built-in module.
 *
 * @param {any} cluster
 */
function takeOver(cluster) {
  const { Worker } = cluster;
  const workers = new Workers(cluster);
  const { intercom } = workers;
  let initialized = false;

  Object.assign(cluster, POLICIES);
  definePolicy(cluster);
  captureAsToldLater(cluster);

  cluster.setupPrimary = function setupPrimary(/** @type {any} */ options) {
    const merged = settings.merge(cluster.settings, options);
    cluster.settings = merged;
    if (!initialized) {
      initialized = true;
      workers.policy = cluster.schedulingPolicy; // As it is now, for good.
      cluster.schedulingPolicy = workers.policy;
      assertPolicy(workers.policy);
      process.on('internalMessage', (message) => startDebugging(cluster, message));
    }
    process.nextTick(() => cluster.emit('setup', merged));
  };
  cluster.setupMaster = cluster.setupPrimary;

  cluster.fork = function fork(/** @type {NodeJS.ProcessEnv | undefined} */ env) {
    return workers.fork(env);
  };

  cluster.disconnect = function disconnect(/** @type {(() => void) | undefined} */ callback) {
    if (workers.supervision) {
      void workers.supervision.all().then(() => cluster.disconnect(callback));
      return;
    }
    const all = Object.values(cluster.workers);
    if (all.length === 0) process.nextTick(() => intercom.emit('disconnect'));
    for (const worker of all) if (worker.isConnected()) worker.disconnect();
    if (typeof callback === 'function') intercom.once('disconnect', callback);
  };

  const port = makePort(cluster, workers);
  cluster.supervise = function supervise(/** @type {unknown} */ options) {
    if (workers.supervision) throw ours('ERR_RCLUSTER_SUPERVISED', 'There is a supervisor already: stop it first');
    const { Supervisor } = require('../supervisor/supervisor.js');
    return new Supervisor(port, options);
  };

  Worker.prototype.disconnect = function disconnect() {
    if (!workers.has(this)) return disconnectOther(workers, cluster, this);
    if (workers.supervision?.one(this)) return this;
    workers.happen(this, 'disconnect');
    return this;
  };

  // Of one that a program has made of a process of its own nothing is known.
  Object.defineProperty(Worker.prototype, 'stats', {
    configurable: true,
    /** @this {any} */
    get() {
      return workers.has(this) ? workers.tiesOf(this).stats : undefined;
    },
  });

  Worker.prototype.destroy = function destroy(/** @type {NodeJS.Signals | undefined} */ signal) {
    if (workers.has(this)) workers.happen(this, 'destroy', { signal: signal || 'SIGTERM' });
    else this.process.kill(signal || 'SIGTERM');
  };
}

/**
 * @param {any} cluster
 * @param {any} message
 */
function startDebugging(cluster, message) {
  if (message.cmd !== 'NODE_DEBUG_ENABLED') return;
  for (const worker of Object.values(cluster.workers)) {
    const debug = () => debugProcess(worker.process.pid);
    if (worker.state === 'online' || worker.state === 'listening') debug();
    else worker.once('online', debug);
  }
}

/**
 * One that a program has made of a process of its own. It may be a worker of the built-in module's, and is told as those are.
 *
 * @param {Workers} workers
 * @param {any} cluster
 * @param {any} worker
 */
function disconnectOther(workers, cluster, worker) {
  worker.exitedAfterDisconnect = true;
  if (worker.process.connected) worker.process.send({ cmd: 'NODE_CLUSTER', act: 'disconnect' });
  if (cluster.workers[worker.id] === worker) workers.remove(worker);
  return worker;
}

module.exports = { takeOver };
