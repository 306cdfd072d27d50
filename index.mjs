// The ESM face: the object as the default export, and its members under the names that Node's own ESM face of
// `cluster` exports. Unlike there the names are the same in the primary and in workers, so that one file can import
// `fork` in both; what a process does not have is undefined.

import { createRequire } from 'node:module';

const cluster = createRequire(import.meta.url)('./index.js');

export default cluster;

export const {
  Worker,
  disconnect,
  fork,
  isMaster,
  isPrimary,
  isWorker,
  onShutdown,
  rcluster,
  schedulingPolicy,
  SCHED_LEAST,
  SCHED_NONE,
  SCHED_REUSEPORT,
  SCHED_RR,
  SCHED_STICKY,
  settings,
  setupMaster,
  setupPrimary,
  supervise,
  worker,
  workers,
} = cluster;
