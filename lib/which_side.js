'use strict';

// Decides what this process is, and takes the built-in module over.

const environment = require('./environment.js');
const native = require('./native.js');

// A process loads this file more than once (jest gives each test file a registry of its own, and a dependency may
// bring its own copy): all find the first one's work on the object that they share.
const TAKEN_OVER = Symbol.for('rcluster.taken-over');

/** Not by `node:worker_threads` where there is another way: it takes 3 ms and 0.7 MB to load. */
function isMainThread() {
  try {
    const [processId, , threadId] = require('node:fs').readlinkSync('/proc/thread-self').split('/');
    return processId === threadId;
  } catch {
    return require('node:worker_threads').isMainThread;
  }
}

/**
 * Why the built-in module must stay as it is; `undefined` when it may be taken over.
 *
 * @param {any} cluster
 * @param {boolean} ourWorker
 * @returns {string | undefined}
 */
function reasonToStayAway(cluster, ourWorker) {
  if (!ourWorker && !isMainThread()) return 'this is a worker thread';
  if (cluster.isWorker && !ourWorker) return 'this process was forked by another cluster module';
  if (!ourWorker && Object.keys(cluster.workers).length > 0) return 'the built-in module has forked workers already';
  return native.unusable();
}

/** Makes `import { fork } from 'node:cluster'` see what has been replaced. */
function syncBuiltinESMExports() {
  // The class of this very module is what `node:module` exports, after it has loaded half of the ESM loader. In a bundle,
  // `module` is not what Node has made for the file.
  const Module = /** @type {any} */ ((require.cache[__filename] ?? module).constructor);
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
    if (ourWorker) require('./worker/take_over.js').takeOver(cluster);
    else require('./primary/take_over.js').takeOver(cluster);
  } else if (ourWorker) {
    throw new Error(`This worker cannot run: ${reason}`);
  }
  syncBuiltinESMExports();
  return cluster;
}

module.exports = takeOver();
