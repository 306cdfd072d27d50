'use strict';

/** Who is measured side by side. */

/** The policies that rcluster may know; those that the checkout does not know yet are left out. */
const RCLUSTER_POLICIES = ['rr', 'none', 'least', 'sticky', 'reuseport'];

/**
 * @typedef {object} Rival
 * @property {string} id  as it stands in tables
 * @property {'node' | 'rcluster' | 'off' | 'floor' | 'file' | 'manager' | 'pm2'} kind
 * @property {string} [policy]  for NODE_CLUSTER_SCHED_POLICY
 * @property {boolean} [reusePort]  each worker listens for itself
 * @property {string} [checkout]  another one than this, of rcluster
 */

/** Node's module with its default policy: what the others are compared with. */
const NODE_RR = 'node rr';

/**
 * @param {{ policies: string[], reusePort: boolean }} found  what this checkout and this Node can do
 * @param {string} [before]  another checkout, with the same policies
 * @returns {Rival[]}
 */
function allRivals({ policies, reusePort }, before) {
  /** @type {Rival[]} */
  const rivals = [
    { id: NODE_RR, kind: 'node', policy: 'rr' },
    { id: 'node none', kind: 'node', policy: 'none' },
  ];
  if (reusePort) rivals.push({ id: 'node reusePort', kind: 'node', policy: 'rr', reusePort });
  for (const policy of policies) rivals.push({ id: `rcluster ${policy}`, kind: 'rcluster', policy });
  if (before) for (const policy of policies) rivals.push({ id: `before ${policy}`, kind: 'rcluster', policy, checkout: before });
  rivals.push({ id: 'floor', kind: 'floor' }, { id: 'no cluster', kind: 'off' });
  return rivals;
}

module.exports = { RCLUSTER_POLICIES, NODE_RR, allRivals };
