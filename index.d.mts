// What index.mjs exports. The values are those at the time of the import: read `cluster.settings` and
// `cluster.schedulingPolicy` from the default export where they may have changed since.

import cluster = require('./index.js');

export default cluster;

export type Address = cluster.Address;
export type Cluster = cluster.Cluster;
export type ClusterEventMap = cluster.ClusterEventMap;
export type ClusterSettings = cluster.ClusterSettings;
export type RclusterStatus = cluster.RclusterStatus;
export type Readiness = cluster.Readiness;
export type ProxyEnd = cluster.ProxyEnd;
export type ProxyHeader = cluster.ProxyHeader;
export type ProxyTls = cluster.ProxyTls;
export type ReloadedWorker = cluster.ReloadedWorker;
export type ReloadError = cluster.ReloadError;
export type ReloadReport = cluster.ReloadReport;
export type RestartOptions = cluster.RestartOptions;
export type SeatStatus = cluster.SeatStatus;
export type SerializationType = cluster.SerializationType;
export type SuperviseOptions = cluster.SuperviseOptions;
export type Supervisor = cluster.Supervisor;
export type SupervisorEventMap = cluster.SupervisorEventMap;
export type SupervisorOptions = cluster.SupervisorOptions;
export type SupervisorStatus = cluster.SupervisorStatus;
export type Worker = cluster.Worker;
export type WorkerConstructor = cluster.WorkerConstructor;
export type WorkerEventMap = cluster.WorkerEventMap;
export type WorkerExit = cluster.WorkerExit;
export type WorkerOptions = cluster.WorkerOptions;

/** The class of workers: for `instanceof`, and to derive from. */
export const Worker: cluster.WorkerConstructor;
/** Disconnects all workers; `undefined` in a worker. See {@link cluster.Cluster.disconnect}. */
export const disconnect: cluster.Cluster['disconnect'];
/** Starts a worker; `undefined` in a worker. See {@link cluster.Cluster.fork}. */
export const fork: cluster.Cluster['fork'];
/** @deprecated Use {@link isPrimary}. */
export const isMaster: boolean;
/** `true` in the process that forks workers. */
export const isPrimary: boolean;
/** `true` in a worker. */
export const isWorker: boolean;
/** In a worker: something to do before it ends; `undefined` in the primary. See {@link cluster.Cluster.onShutdown}. */
export const onShutdown: cluster.Cluster['onShutdown'];
/** Tells rcluster from Node's own module. */
export const rcluster: cluster.RclusterStatus;
/** The policy at the time of the import. To set one, assign to `schedulingPolicy` of the default export. */
export const schedulingPolicy: number;
/** The worker with the fewest active connections is next. */
export const SCHED_LEAST: cluster.Cluster['SCHED_LEAST'];
/** Workers share the listening socket and compete for connections. */
export const SCHED_NONE: cluster.Cluster['SCHED_NONE'];
/** A listening socket per worker, and the kernel distributes. */
export const SCHED_REUSEPORT: cluster.Cluster['SCHED_REUSEPORT'];
/** Connections go to the workers in turn. */
export const SCHED_RR: cluster.Cluster['SCHED_RR'];
/** The same client address gets the same worker. */
export const SCHED_STICKY: cluster.Cluster['SCHED_STICKY'];
/** What workers are forked with, at the time of the import. */
export const settings: cluster.ClusterSettings;
/** @deprecated Use {@link setupPrimary}. */
export const setupMaster: cluster.Cluster['setupMaster'];
/** Sets what later workers are forked with; `undefined` in a worker. See {@link cluster.Cluster.setupPrimary}. */
export const setupPrimary: cluster.Cluster['setupPrimary'];
/** Starts workers and keeps them running; `undefined` in a worker. See {@link cluster.Cluster.supervise}. */
export const supervise: cluster.Cluster['supervise'];
/** In a worker: the worker itself. */
export const worker: cluster.Cluster['worker'];
/** In the primary: the workers by id. The object stays the same, its members come and go. */
export const workers: cluster.Cluster['workers'];
