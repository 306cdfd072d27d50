// rcluster's types against those of @types/node: nothing is missing, and values go both ways, as they do at run
// time, where both modules are one object.

import nodeCluster, * as node from 'node:cluster';
import cluster, { type Address, type Cluster, type ClusterSettings, type Worker } from 'rcluster';
import { expect, type Same } from './expect.mjs';

// Nothing that @types/node declares is missing.
expect<Same<Exclude<keyof typeof nodeCluster, keyof Cluster>, never>>();
expect<Same<Exclude<keyof node.Worker, keyof Worker>, never>>();
expect<Same<Exclude<keyof node.ClusterSettings, keyof ClusterSettings>, never>>();
expect<Same<Exclude<keyof ClusterSettings, keyof node.ClusterSettings>, never>>();
expect<Same<keyof Address, keyof node.Address>>();

// What is new.
type Policies = 'SCHED_LEAST' | 'SCHED_STICKY' | 'SCHED_REUSEPORT';
expect<Same<Exclude<keyof Cluster, keyof typeof nodeCluster | 'Worker'>, 'rcluster' | 'supervise' | 'onShutdown' | Policies>>();

// Ours for theirs: a library that is typed against Node's module takes rcluster.
const asNode: typeof nodeCluster = cluster;
const takesNode = (worker: node.Worker, settings: node.ClusterSettings, address: node.Address): void =>
  void [worker, settings, address];
cluster.on('listening', (worker, address) => takesNode(worker, cluster.settings, address));
nodeCluster.on('online', (worker: Worker) => void worker);

// Theirs for ours.
const takesOurs = (worker: Worker, settings: ClusterSettings, address: Address): void =>
  void [worker, settings, address];
nodeCluster.on('listening', (worker, address) => takesOurs(worker, nodeCluster.settings, address));
const ours: Worker = nodeCluster.fork();
const theirs: node.Worker = cluster.fork();

// @ts-expect-error: Node's own module does not say which implementation it is
const asOurs: Cluster = nodeCluster;

void [asNode, ours, theirs, asOurs];
