// CommonJS: `import … = require`, and the default and named imports that esModuleInterop allows.

import cluster = require('rcluster');
import sameCluster, { fork, isPrimary, SCHED_RR, setupPrimary, workers } from 'rcluster';
import * as namespace from 'rcluster';
import type { Address, ClusterSettings, Worker } from 'rcluster';

const cast: cluster.Cluster = sameCluster;
const primary: boolean = isPrimary && cluster.isPrimary && namespace.isPrimary;
const roundRobin: 2 = SCHED_RR;

const settings: ClusterSettings = { exec: 'worker.js', args: ['--port', '0'], serialization: 'advanced' };
setupPrimary(settings);
cluster.setupPrimary({ exec: 'worker.js' } satisfies cluster.ClusterSettings);

const worker: Worker = fork({ NAME: 'value' });
const qualified: cluster.Worker = worker;
const byId: Worker | undefined = workers?.[worker.id];

cluster.on('listening', (listener, address) => {
  const where: Address = address;
  const which: cluster.Worker = listener;
  void [where, which];
});

class Special extends cluster.Worker {
  purpose = 'derived';
}
const special = new Special({ id: 7 });
if (qualified instanceof cluster.Worker) special.purpose = String(qualified.id);

// @ts-expect-error: there is no such member
void cluster.nonsense;
// @ts-expect-error: nor such an export
import { nonsense } from 'rcluster';
// @ts-expect-error: a worker's id is a number
const id: string = worker.id;

void [cast, primary, roundRobin, byId, special, nonsense, id];
