'use strict';

// Decides what this process is, and takes the built-in module over.

const environment = require('./environment.js');
const native = require('./native.js');

// A process loads this file more than once (jest gives each test file a registry of its own, and a dependency may
// bring its own copy): all find the first one's work on the object that they share.
const TAKEN_OVER = Symbol.for('rcluster.taken-over');

/**
 * Why the built-in module must stay as it is; `undefined` when it may be taken over.
 *
 * @param {any} cluster
 * @param {boolean} ourWorker
 * @returns {string | undefined}
 */
function reasonToStayAway(cluster, ourWorker) {
  // A worker of ours does not ask: that module takes 3 ms to load.
  if (!ourWorker && !require('node:worker_threads').isMainThread) return 'this is a worker thread';
  if (cluster.isWorker && !ourWorker) return 'this process was forked by another cluster module';
  if (!ourWorker && Object.keys(cluster.workers).length > 0) return 'the built-in module has forked workers already';
  return native.unusable();
}

/** Makes `import { fork } from 'node:cluster'` see what has been replaced. */
function syncBuiltinESMExports() {
  // The class of this very module is what `node:module` exports, after it has loaded half of the ESM loader.
  const Module = /** @type {any} */ (module.constructor);
  (Module.syncBuiltinESMExports ?? require('node:module').syncBuiltinESMExports)();
}

/** @returns {any} */
function takeOver() {
  const ourWorker = environment.isOurWorker();
  const cluster = ourWorker ? environment.requireAsWorker() : require('node:cluster');
  if (Object.hasOwn(cluster, TAKEN_OVER)) return cluster;
  const reason = reasonToStayAway(cluster, ourWorker);
  const about = reason === undefined ? { native: true, version: native.load().version() } : { native: false, reason };
  Object.defineProperty(cluster, TAKEN_OVER, { value: true });
  cluster.rcluster = Object.freeze(about);
  if (reason === undefined) {
    if (ourWorker) require('./worker.js').takeOver(cluster);
    else require('./primary.js').takeOver(cluster);
  } else if (ourWorker) {
    throw new Error(`This worker cannot run: ${reason}`);
  }
  syncBuiltinESMExports();
  return cluster;
}

module.exports = takeOver();
