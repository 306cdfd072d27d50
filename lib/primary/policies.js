'use strict';

// The scheduling policies, by their constants and by the names that the environment uses. src/policy/ has their logic.

const errors = require('../errors.js');

const POLICIES = Object.freeze({ SCHED_NONE: 1, SCHED_RR: 2, SCHED_LEAST: 3, SCHED_STICKY: 4, SCHED_REUSEPORT: 5 });

/** @type {Record<string, number>} */
const NAMES = {
  none: POLICIES.SCHED_NONE,
  rr: POLICIES.SCHED_RR,
  least: POLICIES.SCHED_LEAST,
  sticky: POLICIES.SCHED_STICKY,
  reuseport: POLICIES.SCHED_REUSEPORT,
};

/**
 * The policy that the environment asks for; `undefined` when it does not, or names none that there is.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {number | undefined}
 */
function fromEnvironment(env) {
  const name = env.NODE_CLUSTER_SCHED_POLICY ?? env.NODE_CLUSTER_POLICY;
  return name === undefined || !Object.hasOwn(NAMES, name) ? undefined : NAMES[name];
}

/**
 * Defines `cluster.schedulingPolicy`. Node reads the environment when a program first loads the module. A preload loads it
 * earlier, and the program may set the variable after that: until somebody sets the property, or the first worker is
 * forked, it is what the environment says.
 *
 * @param {any} cluster
 */
function definePolicy(cluster) {
  let policy = cluster.schedulingPolicy;
  const set = (/** @type {any} */ value) => {
    Object.defineProperty(cluster, 'schedulingPolicy', { value, writable: true, enumerable: true, configurable: true });
    return value;
  };
  const get = () => (policy = fromEnvironment(process.env) ?? policy);
  // With a main module it is the program that loads us.
  if (require.main) set(get());
  else Object.defineProperty(cluster, 'schedulingPolicy', { get, set, enumerable: true, configurable: true });
}

/**
 * Throws, as Node does, when there is no such policy.
 *
 * @param {unknown} policy
 */
function assertPolicy(policy) {
  if (Object.values(POLICIES).some((known) => known === policy)) return;
  throw errors.coded(Error, 'ERR_INTERNAL_ASSERTION', `Bad cluster.schedulingPolicy: ${String(policy)}`);
}

module.exports = { POLICIES, assertPolicy, definePolicy };
