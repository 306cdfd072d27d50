'use strict';

/** @typedef {import('node:cluster').Cluster} Cluster */

/**
 * The cluster module that a benchmark's server uses: BENCH_CLUSTER=node or rcluster, which is this checkout or the one that
 * BENCH_CHECKOUT names. The scheduling policy comes from NODE_CLUSTER_SCHED_POLICY, which both read themselves.
 * @returns {Cluster}
 */
function choose() {
  if (process.env.BENCH_CLUSTER !== 'rcluster') return builtin();
  const cluster = require(process.env.BENCH_CHECKOUT ?? '../../index.js');
  // Falling back to the built-in is right for a program and would be a lie in a benchmark.
  if (!cluster.rcluster?.native) {
    throw new Error(`rcluster is not native here: ${cluster.rcluster?.reason ?? 'no reason given'}`);
  }
  return cluster;
}

/** @returns {Cluster} */
function builtin() {
  // Its types describe the ESM face, where this object is the default export.
  return /** @type {any} */ (require('node:cluster'));
}

module.exports = choose();
