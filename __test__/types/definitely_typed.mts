// As DefinitelyTyped's test of `node:cluster`, written anew from its rules for definitions: every event, with each of the
// methods that take one, gives its listener the documented arguments and returns what can be chained; every member is
// used once with the type that the documentation gives it; and the names of the types can be used as types.
//
// The same program is compiled for Node's own definitions and for ours.

import rcluster, * as ours from 'rcluster';
import nodeCluster, * as theirs from 'node:cluster';
import type { ChildProcess, SendHandle } from 'node:child_process';
import { expect, type Same } from './expect.mjs';

// Names of types, from either module.
const settingsOf: [ours.ClusterSettings, theirs.ClusterSettings] = [{}, {}];
const addressOf: [ours.Address, theirs.Address] = [
  { address: '127.0.0.1', port: 8080, addressType: 4 },
  { address: '/run/app.sock', port: -1, addressType: -1 },
];
const serialization: ours.SerializationType = 'advanced';
type Modules = [ours.Cluster, theirs.Cluster];

/** The events of the module. */
function clusterEvents(cluster: typeof rcluster | typeof nodeCluster): void {
  const onWorker = (worker: ours.Worker & theirs.Worker): void => void worker.id;
  const onExit = (worker: ours.Worker & theirs.Worker, code: number, signal: string): void => void [worker, code, signal];
  const onListening = (worker: ours.Worker & theirs.Worker, address: ours.Address): void => void [worker, address.port];
  const onMessage = (worker: ours.Worker & theirs.Worker, message: any): void => void [worker, message];
  const onSetup = (settings: ours.ClusterSettings): void => void settings.exec;
  cluster.addListener('disconnect', onWorker).addListener('exit', onExit).addListener('fork', onWorker);
  cluster.addListener('listening', onListening).addListener('message', onMessage);
  cluster.addListener('online', onWorker).addListener('setup', onSetup);
  cluster.on('disconnect', onWorker).on('exit', onExit).on('fork', onWorker).on('listening', onListening);
  cluster.on('message', onMessage).on('online', onWorker).on('setup', onSetup);
  cluster.once('disconnect', onWorker).once('exit', onExit).once('fork', onWorker).once('listening', onListening);
  cluster.once('message', onMessage).once('online', onWorker).once('setup', onSetup);
  cluster.prependListener('disconnect', onWorker).prependListener('exit', onExit).prependListener('fork', onWorker);
  cluster.prependListener('listening', onListening).prependListener('message', onMessage);
  cluster.prependListener('online', onWorker).prependListener('setup', onSetup);
  cluster.prependOnceListener('disconnect', onWorker).prependOnceListener('exit', onExit);
  cluster.prependOnceListener('fork', onWorker).prependOnceListener('listening', onListening);
  cluster.prependOnceListener('message', onMessage).prependOnceListener('online', onWorker);
  cluster.prependOnceListener('setup', onSetup);
  cluster.removeAllListeners('message').setMaxListeners(0);
}

/** The events of a worker. */
function workerEvents(worker: ours.Worker | theirs.Worker): void {
  const nothing = (): void => {};
  const onError = (error: Error): void => void error.message;
  const onExit = (code: number, signal: string): void => void [code, signal];
  const onListening = (address: ours.Address): void => void address.addressType;
  const onMessage = (message: any): void => void message;
  worker.addListener('disconnect', nothing).addListener('error', onError).addListener('exit', onExit);
  worker.addListener('listening', onListening).addListener('message', onMessage).addListener('online', nothing);
  worker.on('disconnect', nothing).on('error', onError).on('exit', onExit).on('listening', onListening);
  worker.on('message', onMessage).on('online', nothing);
  worker.once('disconnect', nothing).once('error', onError).once('exit', onExit).once('listening', onListening);
  worker.once('message', onMessage).once('online', nothing);
  worker.prependListener('disconnect', nothing).prependListener('error', onError).prependListener('exit', onExit);
  worker.prependListener('listening', onListening).prependListener('message', onMessage);
  worker.prependListener('online', nothing).prependOnceListener('disconnect', nothing);
  worker.prependOnceListener('error', onError).prependOnceListener('exit', onExit);
  worker.prependOnceListener('listening', onListening).prependOnceListener('message', onMessage);
  worker.prependOnceListener('online', nothing).removeAllListeners('exit');
}

/** The members of the module. */
function members(cluster: typeof rcluster | typeof nodeCluster): void {
  const flags: boolean[] = [cluster.isMaster, cluster.isPrimary, cluster.isWorker];
  const policies: number[] = [cluster.SCHED_NONE, cluster.SCHED_RR, cluster.schedulingPolicy];
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary();
  cluster.setupPrimary({ args: ['--use', 'https'], exec: 'worker.js', execArgv: ['--harmony'], silent: true });
  cluster.setupPrimary({ cwd: '/srv', gid: 1, inspectPort: 9229, serialization: 'advanced', stdio: ['pipe'], uid: 1 });
  cluster.setupPrimary({ inspectPort: () => 9229, windowsHide: true });
  cluster.setupMaster({ exec: 'worker.js' });
  const worker: ours.Worker | theirs.Worker = cluster.fork();
  cluster.fork({ KEY: 'value' });
  cluster.disconnect();
  cluster.disconnect(() => {});
  const itself: ours.Worker | theirs.Worker | undefined = cluster.worker;
  for (const id in cluster.workers) cluster.workers[id]?.send('to all');
  const { exec, args, execArgv, silent } = cluster.settings;
  void [flags, policies, worker, itself, exec, args, execArgv, silent];
}

/** The members of a worker. */
function workerMembers(worker: ours.Worker | theirs.Worker): void {
  const id: number = worker.id;
  const process: ChildProcess = worker.process;
  const flags: boolean[] = [worker.exitedAfterDisconnect, worker.isConnected(), worker.isDead()];
  worker.kill();
  worker.kill('SIGTERM');
  worker.destroy('SIGTERM');
  const sent: boolean[] = [worker.send('text'), worker.send({ key: 'value' }, (error) => void error?.message)];
  const handle = undefined as unknown as SendHandle;
  sent.push(worker.send(1, handle), worker.send(true, handle, { keepOpen: true }, (error) => void error));
  worker.disconnect().on('disconnect', () => {});
  void [id, process, flags, sent];
}

// A worker's class, to derive from and to test for.
class OursDerived extends rcluster.Worker {}
class TheirsDerived extends theirs.Worker {}
const derived: (ours.Worker & theirs.Worker)[] = [new OursDerived(), new TheirsDerived()];
expect<Same<InstanceType<typeof rcluster.Worker>, ours.Worker>>();

// The handle of a message can be told apart where it matters.
rcluster.on('message', (worker, message: { cmd: string }, handle) => {
  if (handle && 'write' in handle) handle.write(message.cmd);
  void worker.id;
});

void [settingsOf, addressOf, serialization, clusterEvents, workerEvents, members, workerMembers, derived];
void (undefined as unknown as Modules);
