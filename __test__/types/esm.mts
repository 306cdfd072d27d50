// ESM: the default export and everything that index.mjs exports by name.

import cluster, {
  disconnect,
  fork,
  isMaster,
  isPrimary,
  isWorker,
  onShutdown,
  rcluster,
  SCHED_LEAST,
  SCHED_NONE,
  SCHED_REUSEPORT,
  SCHED_RR,
  SCHED_STICKY,
  schedulingPolicy,
  settings,
  setupMaster,
  setupPrimary,
  supervise,
  Worker,
  worker,
  workers,
} from 'rcluster';
import type {
  Address,
  Cluster,
  ClusterEventMap,
  ClusterSettings,
  RclusterStatus,
  SerializationType,
  WorkerConstructor,
  WorkerEventMap,
  WorkerOptions,
} from 'rcluster';
import * as namespace from 'rcluster';
import { expect, type Same } from './expect.mjs';

// Each name has the type that the member of the object has.
expect<Same<typeof cluster, Cluster>>();
expect<Same<typeof disconnect, Cluster['disconnect']>>();
expect<Same<typeof fork, Cluster['fork']>>();
expect<Same<typeof isMaster, Cluster['isMaster']>>();
expect<Same<typeof isPrimary, Cluster['isPrimary']>>();
expect<Same<typeof isWorker, Cluster['isWorker']>>();
expect<Same<typeof rcluster, RclusterStatus>>();
expect<Same<typeof schedulingPolicy, Cluster['schedulingPolicy']>>();
expect<Same<typeof settings, ClusterSettings>>();
expect<Same<typeof setupMaster, Cluster['setupMaster']>>();
expect<Same<typeof setupPrimary, Cluster['setupPrimary']>>();
expect<Same<typeof supervise, Cluster['supervise']>>();
expect<Same<typeof onShutdown, Cluster['onShutdown']>>();
expect<Same<typeof Worker, WorkerConstructor>>();
expect<Same<typeof worker, Cluster['worker']>>();
expect<Same<typeof workers, Cluster['workers']>>();
expect<Same<[typeof SCHED_NONE, typeof SCHED_RR], [1, 2]>>();
expect<Same<typeof SCHED_LEAST, 3 | undefined>>();
expect<Same<typeof SCHED_STICKY, 4 | undefined>>();
expect<Same<typeof SCHED_REUSEPORT, 5 | undefined>>();

// The members that are ours are all exported, and nothing that an EventEmitter only inherits is.
type OwnMembers = Exclude<keyof Cluster, keyof import('node:events').EventEmitter>;
expect<Same<keyof typeof namespace, OwnMembers | 'default'>>();

const made: Worker = new Worker({ id: 1, state: 'online' } satisfies WorkerOptions);
const serialization: SerializationType = 'json';
const exit: WorkerEventMap['exit'] = [0, ''];
const listening: ClusterEventMap['listening'] = [made, { address: '::', port: 80, addressType: 6 } satisfies Address];

// @ts-expect-error: `on` belongs to the object; index.mjs has no such export
import { on } from 'rcluster';
// @ts-expect-error: the names are constants
schedulingPolicy = 1;

void [serialization, exit, listening, on];
