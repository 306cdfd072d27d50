/** What is to run, and how. Times are milliseconds, sizes bytes; docs/config.md says more of each. */
export interface App {
  /** Unique within its namespace; the name of the script without its extension by default. */
  name: string;
  /** A group of apps. Default: `'default'`. */
  namespace: string;
  /** `'program'`: any executable or script. `'cluster'`: a Node server over several workers. Default: `'program'`. */
  mode: 'program' | 'cluster';
  /** The file to run. */
  script: string;
  args: string[];
  /** The folder that it runs in. Default: this process's. */
  cwd: string;
  /** What runs the script: `null` for what its extension says, `'none'` for the script itself. */
  interpreter: string | null;
  interpreterArgs: string[];
  /** Without `statedEnv`: variables that it has besides those of this process. With it: its whole environment. */
  env: Record<string, string>;
  /** Which variables of `env` were said of this app; only these count when a known app is started again. */
  statedEnv: string[] | null;
  /** Default: 1. */
  instances: number;
  /** The variable that tells each instance its number. Default: `'NODE_APP_INSTANCE'`. */
  instanceVar: string;
  /** A variable that is a number, and one more for each further instance of a program. */
  incrementVar: string | null;
  /** Whether it is started when it becomes known, and not only listed. */
  autostart: boolean;
  autorestart: boolean;
  maxRestarts: number;
  minUptime: number | null;
  restartDelay: number;
  expBackoff: number;
  stopExitCodes: number[];
  killSignal: string;
  killTimeout: number;
  treekill: boolean;
  shutdownWithMessage: boolean;
  watchdog: number;
  /** When a run of it begins: a line of cron. */
  cron: string | null;
  /** When it starts anew: a line of cron. */
  cronRestart: string | null;
  /** The time zone of these lines; null for the machine's. */
  cronTimezone: string | null;
  /** Whether it is started by the clock though somebody has stopped it. */
  cronWhenStopped: boolean;
  /** Paths and patterns, from `cwd` on: it starts anew when something changes there. */
  watch: string[];
  /** Those whose changes do not count. */
  ignoreWatch: string[];
  /** It starts anew when nothing has changed for so long (ms). */
  watchDelay: number;
  /** What `/bin/sh` runs for an incident. */
  onEvent: string | null;
  /** Where incidents are sent. The secret is told as `(hidden)`, which, told back, means the one that is known. */
  webhook: { url: string; secret?: string | null } | null;
  waitReady: boolean;
  listenTimeout: number;
  outFile: string | null;
  errorFile: string | null;
  logFile: string | null;
  mergeLogs: boolean;
  logFormat: 'raw' | 'time' | 'json';
  logDateFormat: string | null;
  maxSize: number;
  retain: number;
  maxTotal: number;
  rotate: 'hourly' | 'daily' | 'weekly' | null;
  compress: boolean;
  /** 0 for no limit. */
  maxMemory: number;
  uid: string | null;
  gid: string | null;
  /** Listening sockets that it is given, such as `'tcp:3000'`. */
  sockets: string[];
  /** Options of the command `rcluster` for a cluster's primary. */
  clusterArgs: string[];
  /** Whether a Node program gets a message channel. */
  ipc: boolean;
}

/** How apps are started. */
export interface StartOptions {
  /** What becomes of those that are known: what has changed is brought about (the default), or they start anew, or are reloaded, in any case. */
  known?: 'apply' | 'restart' | 'reload';
  /** The whole environment counts, and not `statedEnv` alone. */
  updateEnv?: boolean;
  /** Apps that are not named are stopped and forgotten. */
  prune?: boolean;
}

/** What is done with an app, or would be. */
export type Action = 'add' | 'start' | 'restart' | 'reload' | 'scale' | 'configure' | 'none' | 'delete';

/** What would be done with an app. */
export interface Plan {
  name: string;
  namespace: string;
  action: Action;
  /** Why. Of the environment only names are told. */
  changes: { member: string; from?: unknown; to?: unknown }[];
}

/** What a reload of an app was. */
export interface Reload {
  name: string;
  namespace: string;
  /** A cluster's workers replaced without losing a connection; instances started anew one by one; or it did not run, and was started. */
  kind: 'zero-loss' | 'one-by-one' | 'restart';
  /** What `supervisor.reload()` gives, of a cluster. */
  report?: object | null;
}

/** What an upgrade of a cluster was. */
export interface Upgrade {
  name: string;
  namespace: string;
  /** Its primary replaced without losing a connection; or it did not run, and was started. */
  kind: 'zero-loss' | 'restart';
  /** What `supervisor.upgrade()` gives. */
  report: object | null;
}

/** The state of a process. */
export type State = 'launching' | 'online' | 'stopping' | 'stopped' | 'waiting restart' | 'errored';

/** One process of an app. */
export interface ProcessStatus {
  instance: number;
  id: number | null;
  pid: number | null;
  state: State;
  /** Milliseconds since 1970. */
  startedAt: number | null;
  restarts: number;
  unstableRestarts: number;
  exitCode: number | null;
  signal: string | null;
  lastError: string | null;
  /** What it says of itself (`STATUS=`). */
  statusText: string | null;
  /** Whether it says that it takes a new configuration. */
  reloading: boolean;
  /** Whether another primary is about to take its place. */
  upgrading: boolean;
  /** Bytes, with all that it has started. */
  memory: number;
  /** Milliseconds of processor time, with all that it has started. */
  cpuTime: number;
  /** Percent of a processor, since it was looked at before. */
  cpu: number;
  /** Threads and open descriptors, with those of all that it has started. */
  threads: number;
  descriptors: number;
}

/** How long something took (ms), each time that it happened. */
export interface Histogram {
  count: number;
  sum: number;
  /** Estimated from the buckets. */
  p50: number;
  p90: number;
  p99: number;
  /** How many took up to 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000 ms, and longer. */
  counts: number[];
}

/** What a worker's counters say since it was started, read from memory that it shares. */
export interface WorkerStats {
  connections: { active: number; queued: number; total: number };
  /** Times in ms. */
  loop: { utilization: number; running: number; idle: number; longestTurn: number; turns: number; delay: Histogram };
  /** How long connections waited from being accepted to their server. */
  waiting: Histogram;
  /** With `--count-requests`. */
  http: { requests: number; errors: number; time: Histogram } | null;
}

/** ms that half, and 99 of 100, took at most, estimated from the buckets. */
export interface Percentiles {
  p50: number;
  p99: number;
}

/** What a worker, or all workers of an app together, have done since somebody looked before, a second ago at least. */
export interface Recent {
  /** How long that was. */
  seconds: number;
  /** Connections that came, each second. */
  connections: number;
  /** Connections that are open, and that wait in queues, now. */
  active: number;
  queued: number;
  /** How long connections waited from being accepted to their server; nothing where none came. */
  waiting: Percentiles | null;
  /** The part (0 to 1) of the time that the event loop was running; of an app the mean of its workers. */
  utilization: number;
  /** How long turns of the event loop took. */
  delay: Percentiles | null;
  /** Each second, with `--count-requests`; and the times of responses. */
  http: { requests: number; errors: number; time: Percentiles | null } | null;
}

/** A worker of a cluster. */
export interface WorkerStatus {
  /** Its place, from 0. */
  seat: number;
  pid: number | null;
  state: string;
  /** Milliseconds since 1970. */
  startedAt: number | null;
  restarts: number;
  /** Bytes, with all that it has started. */
  memory: number;
  /** Percent of a processor, since it was looked at before. */
  cpu: number;
  /** Milliseconds of processor time, with all that it has started. */
  cpuTime: number;
  /** Threads and open descriptors, with those of all that it has started. */
  threads: number;
  descriptors: number;
  /** Nothing where its board cannot be read, as with another version of rcluster. */
  stats: WorkerStats | null;
  recent: Recent | null;
}

/** An app and its processes. */
export interface AppStatus {
  name: string;
  namespace: string;
  mode: 'program' | 'cluster';
  script: string;
  cwd: string;
  instances: number;
  /** The number of each instance in listings. */
  ids: number[];
  /** The keeper's process. */
  keeper: number | null;
  /** Of an app that watches files, while it is not stopped. */
  watching: Watching | null;
  /** When something is done by the clock next (ms since 1970). */
  nextRun: number | null;
  processes: ProcessStatus[];
  /** Of a cluster. */
  /** What the workers of a cluster have done of late, together. */
  recent: Recent | null;
  workers: WorkerStatus[];
  /** What was done, where apps were started. */
  action?: Action;
  /** Why what was done last is not written down, while it is not: the disk is full, for one. The daemon tries again by itself. */
  notSaved?: string;
}

/** Watching files. */
export interface Watching {
  /** How many folders are watched. */
  folders: number;
  /** What the app was started anew for last. */
  lastChange: string | null;
  /** Whether it is not watched any more, as the app was started anew again and again for what it changed itself. */
  suspended: boolean;
  /** What keeps it from being watched, or a part of it. */
  problem: string | null;
}

/** What somebody may have to see to. */
export type IncidentKind = 'crash' | 'crash-loop' | 'hang' | 'memory' | 'reload-failed' | 'upgraded' | 'descriptors' | 'watch-suspended' | 'watch-failed';

/** Something that has happened. `at`: milliseconds since 1970. */
export type ManagerEvent = { at: number } & (
  /** It is listened from now on. */
  | { event: 'hello'; pid: number; version: string }
  | { event: 'app'; change: 'added' | 'changed' | 'deleted'; app: string; namespace: string }
  /** A process is doing something else than before. */
  | ({ event: 'process'; app: string; namespace: string } & ProcessStatus)
  | { event: 'workers'; app: string; namespace: string; workers: WorkerStatus[] }
  /** Somebody may have to see to it. */
  | { event: 'incident'; kind: IncidentKind; app: string; namespace: string; instance: number | null; message: string }
  /** A Node program has sent a message. */
  | { event: 'message'; app: string; namespace: string; instance: number; message: unknown }
  /** So many were missed, as they were not read in time. */
  | { event: 'lost'; count: number }
);

/** A line of a log. What is not known is `null`. */
export interface LogLine {
  /** When it was read, as ISO 8601 to the millisecond. */
  ts: string | null;
  app: string;
  /** `null` for a cluster's primary, too. */
  instance: number | null;
  pid: number | null;
  stream: 'out' | 'error' | null;
  msg: string;
  /** What stands before it in the file: a time. */
  prefix?: string;
}

export interface LogOptions {
  /** So many of the last lines; all by default. */
  lines?: number | string;
  /** Those since then: a date, milliseconds since 1970, or such as `'10m'`. */
  since?: string | number | Date;
  /** Those that match: a regular expression of the crate `regex` (no look-around, no back references); of a `RegExp` the flag `i` counts. */
  grep?: string | RegExp;
  stream?: 'out' | 'error';
  /** Those of some instances. */
  instance?: number | readonly number[];
  /** Whether it goes on with what comes: through rotation, restarts, new instances and another daemon. */
  follow?: boolean;
  /** Ends following: what is there by then still comes. */
  signal?: AbortSignal;
}

/** Where the page is to be. */
export interface WebOptions {
  /** A port, an address, or the absolute path of a Unix socket; `127.0.0.1:9616` by default. */
  listen?: string;
  /** Whether the address may be one that other machines reach. */
  allowRemote?: boolean;
  /** Names, besides addresses, that the page may be reached by. */
  hosts?: readonly string[];
  /** `/metrics` is there as well, for everybody who reaches the page: without a session. */
  metrics?: boolean;
}

/** A page that is open, and a link to it. */
export interface WebPage {
  /** Good once. */
  url: string;
  address: string;
  /** Its path, where it is a Unix socket. */
  socket: string | null;
  /** Whether this machine alone can reach it. */
  isLocal: boolean;
  /** Seconds that the link is good for. */
  expiresIn: number;
  /** Where `/metrics` is, if it was asked for. */
  metrics: string | null;
}

export interface WebStatus {
  /** `null` when there is no page. */
  address: string | null;
  /** How many browsers look at it now. */
  watchers: number;
  /** Whether `/metrics` is there as well. */
  metrics: boolean;
}

/** What the daemon answers when it refuses (`ERR_RCLUSTER_…`), or is not there (`ERR_RCLUSTER_NO_DAEMON`). */
export class ManagerError extends Error {
  constructor(code: string, message: string);
  code: string;
}

/**
 * The manager of a home folder: the daemon is started when it is needed. A `target` is `'all'`, a name, `'namespace:name'`, a number of a
 * listing, a namespace, or a pattern for names between slashes. What the daemon refuses is a {@link ManagerError}.
 */
export class Manager {
  /**
   * @param options `home`: the folder; `$RCLUSTER_HOME` or `~/.rcluster` by default. `autostart`: whether a daemon is started when none runs;
   * else `ERR_RCLUSTER_NO_DAEMON`. `patience`: for how long (ms) it may say nothing, not even that it is there, until that is `ERR_RCLUSTER_NO_ANSWER`; 15,000
   * by default. What takes longer is waited for.
   */
  constructor(options?: { home?: string; autostart?: boolean; patience?: number });
  readonly home: string;
  /** The daemon's version, when it has answered and is not this package's. */
  readonly otherVersion: string | undefined;
  /** Why what was done last is not written down, if the daemon has said so: the disk is full, for one. It is done, and the daemon tries again by itself. */
  readonly notSaved: string | undefined;
  /** Starts the daemon if none runs. */
  ensureDaemon(): Promise<void>;
  /** Whether a daemon answers; none is started. */
  isRunning(): Promise<boolean>;
  ping(): Promise<{ pid: number; version: string }>;
  /** All apps and what their processes are doing. */
  list(): Promise<AppStatus[]>;
  /** Starts apps; of those that are known under the same name only what has changed starts anew. Resolves when they are online or have failed. */
  start(apps: (Partial<App> & Pick<App, 'script'>)[], options?: StartOptions): Promise<AppStatus[]>;
  /** What {@link start} would do. */
  plan(apps: (Partial<App> & Pick<App, 'script'>)[], options?: StartOptions): Promise<Plan[]>;
  /** Starts apps that were stopped. */
  resume(target: string): Promise<AppStatus[]>;
  /** Stops apps; they stay listed. */
  stop(target: string): Promise<AppStatus[]>;
  /** Ends apps and starts them again. `env`: variables that are set from now on. */
  restart(target: string, options?: { env?: Record<string, string> }): Promise<AppStatus[]>;
  /** Replaces the workers of clusters without losing a connection; starts the instances of programs anew, one after the other. */
  reload(target: string, options?: { env?: Record<string, string> }): Promise<Reload[]>;
  /** Replaces the primaries of clusters by new ones, with their workers, without losing a connection: for another Node, or another rcluster. */
  upgrade(target: string, options?: { env?: Record<string, string> }): Promise<Upgrade[]>;
  /** Changes how many instances or workers there are. */
  scale(target: string, count: number): Promise<AppStatus[]>;
  /** Sets the counts of restarts to 0. */
  reset(target: string): Promise<AppStatus[]>;
  /** Sends a signal to programs, and to the workers of clusters; what does not run is passed over. */
  signal(target: string, signal: string): Promise<AppStatus[]>;
  /** Sends a message to Node programs, and to the workers of clusters: `process.on('message')`. */
  send(target: string, message: unknown): Promise<AppStatus[]>;
  /** Writes to the standard input of programs. */
  write(target: string, text: string): Promise<AppStatus[]>;
  /** Any operation of the API on `target`: those above, `flush` and `reopen`. */
  act(target: string, operation: string, body?: object): Promise<any>;
  /** What apps are, but for their environment. */
  describe(target: string): Promise<App[]>;
  /** The environment of the first app that is meant, with all secrets that are in it. */
  env(target: string): Promise<Record<string, string>>;
  /** Stops apps and forgets them. */
  delete(target: string): Promise<AppStatus[]>;
  /** Keeps the list of apps for {@link resurrect}. */
  save(): Promise<{ apps: number }>;
  resurrect(): Promise<AppStatus[]>;
  /** Forgets what {@link save} has kept. */
  clearDump(): Promise<{ apps: number }>;
  /** Stops all apps, forgets them and ends the daemon. Resolves when daemon and keepers have gone: the home can be removed. */
  kill(): Promise<null>;
  /** Replaces the daemon by another executable, this package's by default; no program notices. */
  update(options?: { executable?: string }): Promise<{ version: string; pid: number }>;
  /** Opens the page unless it is open, and makes a link to it that is good once. */
  openWeb(options?: WebOptions): Promise<WebPage>;
  web(): Promise<WebStatus>;
  /** Closes the page: all sessions end. */
  closeWeb(): Promise<{ wasOpen: boolean }>;
  /** What happens from now on, until the daemon ends, is replaced, or the loop is left. The first event is `hello`. */
  events(): AsyncGenerator<ManagerEvent, void, void>;
  /** Lines of logs, merged by time. Ends behind the last line, or, when it follows, when `signal` says so, the manager is closed, or the loop is left. */
  logs(target?: string, options?: LogOptions): AsyncGenerator<LogLine, void, void>;
  /** The same in the pieces in which they come, for whoever passes many on. When it follows, the first piece may have none: from then on nothing is missed. */
  logPieces(target?: string, options?: LogOptions): AsyncGenerator<LogLine[], void, void>;
  /** Any request of the API. */
  request(method: string, url: string, body?: object): Promise<any>;
  /** Ends what is going on, and lets the process end. */
  close(): void;
}
