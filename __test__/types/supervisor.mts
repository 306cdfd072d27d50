// Supervision: options, events, reports and what they refuse.

import cluster, {
  type ReloadedWorker,
  type ReloadError,
  type ReloadReport,
  type Readiness,
  type RestartOptions,
  type SeatStatus,
  type SuperviseOptions,
  type Supervisor,
  type SupervisorEventMap,
  type SupervisorOptions,
  type SupervisorStatus,
  type WorkerExit,
} from 'rcluster';
import { expect, type Same } from './expect.mjs';

// Every option, each once.
const restart: RestartOptions = { delay: 100, factor: 1.5, max: 15_000, resetAfter: 30_000, limit: 10, window: 60_000 };
const options: SuperviseOptions = {
  crash: 'drain',
  drainTimeout: 10_000,
  env: { NODE_ENV: 'production', PORT: 80 },
  hangSignal: 'SIGABRT',
  hangTimeout: 0,
  maxMemory: '300M',
  policy: 'least',
  proxyProtocol: ['10.0.0.0/8', 'unix'],
  ready: 'message',
  readyTimeout: 10_000,
  reloadParallel: 2,
  restart,
  settleTime: 0,
  signals: true,
  workers: 'max',
  // And the settings of setupPrimary.
  args: [],
  cwd: '/srv',
  exec: 'server.js',
  execArgv: [],
  gid: 1000,
  inspectPort: 0,
  serialization: 'json',
  silent: false,
  stdio: ['ignore', 1, 2, 'ipc'],
  uid: 1000,
  windowsHide: true,
};
const supervisor: Supervisor = cluster.supervise();
cluster.supervise(options);
cluster.supervise({ workers: 4, maxMemory: 300 * 2 ** 20, policy: cluster.SCHED_RR, env: undefined });
// @ts-expect-error: 'max', and no other word
cluster.supervise({ workers: 'all' });
// @ts-expect-error: there is no such readiness
cluster.supervise({ ready: 'soon' });
// @ts-expect-error: milliseconds
cluster.supervise({ readyTimeout: '10s' });
// @ts-expect-error: these two
cluster.supervise({ hangSignal: 'SIGTERM' });
// @ts-expect-error: there is no such policy
cluster.supervise({ policy: 'random' });
// @ts-expect-error: there is no such option
cluster.supervise({ instances: 2 });
// @ts-expect-error: nor such a member
cluster.supervise({ restart: { attempts: 3 } });

// What it is made with.
expect<Same<typeof supervisor.options, SupervisorOptions>>();
expect<Same<typeof supervisor.options.workers, number>>();
expect<Same<typeof supervisor.options.restart.delay, number>>();
expect<Same<typeof supervisor.options.ready, Readiness>>();
// @ts-expect-error: settled
supervisor.options.workers = 3;

// What it does.
expect<Same<ReturnType<typeof supervisor.whenReady>, Promise<void>>>();
expect<Same<ReturnType<typeof supervisor.reload>, Promise<ReloadReport>>>();
expect<Same<ReturnType<typeof supervisor.scale>, Promise<void>>>();
expect<Same<ReturnType<typeof supervisor.stop>, Promise<void>>>();
expect<Same<ReturnType<typeof supervisor.kill>, Promise<void>>>();
void supervisor.scale('max');
// @ts-expect-error: how many?
void supervisor.scale();
// @ts-expect-error: a number
void supervisor.scale('2');

// What it says.
const status: SupervisorStatus = supervisor.status();
expect<Same<typeof status.state, 'running' | 'reloading' | 'stopping' | 'stopped'>>();
const seat: SeatStatus | undefined = status.workers[0];
const exit: WorkerExit | undefined = seat?.lastExit;
const queued: number | undefined = seat?.connections.queued;
const longest: number | undefined = seat?.loop.longestTurn;
const waited: number | undefined = seat?.waiting.p99;
const failed: number | undefined = cluster.workers?.[1]?.stats?.http?.errors;
void [waited, failed];
const leaving: number | undefined = status.leaving[0]?.connections;

// Its events.
supervisor.on('ready', () => {});
supervisor.once('restart', ({ pid, delay, reason, restarts, lastWords, seat: place }) =>
  expect<
    Same<
      [typeof pid, typeof delay, typeof reason, typeof restarts, typeof lastWords, typeof place],
      [number | undefined, number, string, number, string, number]
    >
  >(),
);
supervisor.on('restart-failed', (error) => expect<Same<typeof error, Error & { code: string }>>());
supervisor.on('hang', ({ time }) => expect<Same<typeof time, number>>());
supervisor.on('memory', ({ bytes, delay }) => expect<Same<[typeof bytes, typeof delay], [number, number]>>());
supervisor.on('crash-loop', ({ fatal, error }) => {
  expect<Same<typeof fatal, boolean>>();
  expect<Same<typeof error.code, 'ERR_RCLUSTER_CRASH_LOOP'>>();
});
supervisor.on('reloading', () => {});
supervisor.on('reload', ({ workers, time, error }) => {
  expect<Same<[typeof workers, typeof time], [ReloadedWorker[], number]>>();
  expect<Same<typeof error, ReloadError | undefined>>();
});
supervisor.on('signal', (signal, action) => {
  expect<Same<typeof signal, 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2'>>();
  expect<Same<typeof action, 'stop' | 'kill' | 'reload' | 'status'>>();
});
supervisor.on('upgrading', () => {}).on('took-over', () => {});
supervisor.on('upgraded', (report) => {
  if (report.error) expect<Same<typeof report.error.code, 'ERR_RCLUSTER_UPGRADE_FAILED' | 'ERR_RCLUSTER_UPGRADING' | 'ERR_RCLUSTER_STOPPED'>>();
  else expect<Same<[typeof report.moved, typeof report.cut, typeof report.newPid], [number, number, number | undefined]>>();
});
supervisor.on('health', ({ address, error }) => {
  expect<Same<typeof address, string>>();
  expect<Same<typeof error, (Error & { code: 'ERR_RCLUSTER_HEALTH' }) | undefined>>();
});
supervisor.on('stopping', () => {}).on('stopped', () => {});
supervisor.on('an event of the application', (first) => expect<Same<typeof first, any>>());
const emitter: NodeJS.EventEmitter = supervisor;
expect<
  Same<
    keyof SupervisorEventMap,
    | 'crash-loop' | 'hang' | 'memory' | 'ready' | 'reload' | 'reloading' | 'restart' | 'replace' | 'restart-failed' | 'signal' | 'stopped' | 'waiting'
    | 'stopping' | 'health' | 'upgrading' | 'upgraded' | 'took-over'
  >
>();

// In a worker.
cluster.onShutdown?.(async () => {});
cluster.onShutdown?.(() => 'whatever');
// @ts-expect-error: the primary has none
cluster.onShutdown(() => {});
// @ts-expect-error: a function
cluster.onShutdown?.('close the database');
cluster.on('draining', () => {});

void [exit, queued, longest, leaving, emitter];

// Whom a connection is from.
declare const socket: import('node:net').Socket;
const byText: SuperviseOptions = { proxyProtocol: '10.0.0.0/8,::1' };
const header = socket.proxyHeader;
expect<Same<typeof header, import('rcluster').ProxyHeader | undefined>>();
expect<Same<NonNullable<typeof header>['command'], 'PROXY' | 'LOCAL'>>();
const said: string | undefined = header?.source?.address ?? header?.tls?.commonName ?? header?.tlvs[0].value.toString();
// @ts-expect-error it cannot be set
socket.proxyHeader = header;
void [byText, said];
