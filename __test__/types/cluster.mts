// The members of the module and of its events: what they take and return, and what they refuse.

import cluster, { type Address, type ClusterSettings, type RclusterStatus, type Worker } from 'rcluster';
import type { SendHandle } from 'node:child_process';
import { expect, type Same } from './expect.mjs';

// Every setting, each once.
const settings: ClusterSettings = {
  args: ['--flag'] as const,
  cwd: '/srv',
  exec: 'worker.js',
  execArgv: ['--enable-source-maps'],
  gid: 1000,
  inspectPort: () => 9229,
  serialization: 'advanced',
  silent: true,
  stdio: ['ignore', 1, 2, 'ipc'],
  uid: 1000,
  windowsHide: true,
};
expect<Same<ReturnType<typeof cluster.setupPrimary>, void>>();
cluster.setupPrimary();
cluster.setupPrimary(settings);
cluster.setupMaster({ inspectPort: 0, silent: undefined });
expect<Same<typeof cluster.settings, ClusterSettings>>();

// @ts-expect-error: two kinds of serialization exist
cluster.setupPrimary({ serialization: 'xml' });
// @ts-expect-error: one path
cluster.setupPrimary({ exec: ['worker.js'] });
// @ts-expect-error: arguments are strings
cluster.setupPrimary({ args: [1, 2] });
// @ts-expect-error: ids are numbers
cluster.setupPrimary({ uid: 'root' });
// @ts-expect-error: there is no such setting
cluster.setupPrimary({ executable: 'worker.js' });
// @ts-expect-error: settings are set with setupPrimary
cluster.settings = settings;

// fork, disconnect, workers.
const worker: Worker = cluster.fork();
cluster.fork({ NODE_ENV: 'test', PORT: 0 });
cluster.fork(process.env);
cluster.disconnect();
cluster.disconnect(() => {});
// @ts-expect-error: the callback has no argument
cluster.disconnect((error: Error) => error);
for (const each of Object.values(cluster.workers ?? {})) each?.kill();
// @ts-expect-error: the primary has workers, a worker may not
cluster.workers[1];
// @ts-expect-error: only a worker has it
cluster.worker.send('hello');
cluster.worker?.send('hello');
// @ts-expect-error: one cannot become a worker
cluster.isWorker = true;

// Policies.
cluster.schedulingPolicy = cluster.SCHED_NONE;
cluster.schedulingPolicy = cluster.SCHED_LEAST ?? cluster.SCHED_RR;
const policies: [1, 2, 3?, 4?, 5?] = [cluster.SCHED_NONE, cluster.SCHED_RR];
// @ts-expect-error: a policy is a number; names are for the environment variable
cluster.schedulingPolicy = 'rr';
// @ts-expect-error: not every process has the new ones
cluster.schedulingPolicy = cluster.SCHED_STICKY;
// @ts-expect-error: constants
cluster.SCHED_RR = 2;

// Which implementation it is.
const status: RclusterStatus = cluster.rcluster;
if (status.native) {
  expect<Same<typeof status.version, string>>();
  // @ts-expect-error: nothing to explain
  status.reason;
} else {
  expect<Same<typeof status.reason, string>>();
  // @ts-expect-error: no version of what is not there
  status.version;
}
// @ts-expect-error: `native` decides
const lie: RclusterStatus = { native: true, reason: 'none' };

// Events of the module.
cluster.on('disconnect', (each) => expect<Same<typeof each, Worker>>());
cluster.once('exit', (each, code, signal) => expect<Same<[typeof each, typeof code, typeof signal], [Worker, number, string]>>());
cluster.addListener('fork', (each) => expect<Same<typeof each, Worker>>());
cluster.prependListener('listening', (each, address) => expect<Same<[typeof each, typeof address], [Worker, Address]>>());
cluster.prependOnceListener('message', (each, message, handle) =>
  expect<Same<[typeof each, typeof message, typeof handle], [Worker, any, SendHandle]>>(),
);
cluster.on('online', (each) => expect<Same<typeof each, Worker>>());
cluster.on('setup', (now) => expect<Same<typeof now, ClusterSettings>>());
cluster.on('an event of the application', (first, second) => expect<Same<[typeof first, typeof second], [any, any]>>());
cluster.off('online', () => {});
cluster.removeListener('online', () => {}).removeAllListeners('setup').setMaxListeners(0);
const heard: boolean = cluster.emit('listening', worker, { address: '127.0.0.1', port: 80, addressType: 4 });
const count: number = cluster.listenerCount('exit');

// Addresses.
const addresses: Address[] = [
  { address: '::', port: 443, addressType: 6 },
  { address: '/run/app.sock', port: -1, addressType: -1 },
  { address: '0.0.0.0', port: 53, addressType: 'udp4' },
];
// @ts-expect-error: there is no such type of address
const address: Address = { address: 'localhost', port: 80, addressType: 'tcp' };

void [policies, lie, heard, count, addresses, address];
