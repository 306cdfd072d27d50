/** What is to run, and how. Times are milliseconds; see docs/config.md. */
export interface App {
  name: string;
  namespace: string;
  mode: 'program' | 'cluster';
  script: string;
  args: string[];
  cwd: string;
  interpreter: string | null;
  interpreterArgs: string[];
  env: Record<string, string>;
  instances: number;
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
  /** What it says that it is doing (`STATUS` in sd_notify(3)). */
  statusText: string | null;
  /** Whether it says that it is taking a new configuration. */
  reloading: boolean;
  /** Bytes, with all that it has started. */
  memory: number;
  /** Milliseconds of processor time, with all that it has started. */
  cpuTime: number;
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
}

/** An app and its processes. */
export interface AppStatus {
  name: string;
  namespace: string;
  mode: 'program' | 'cluster';
  script: string;
  cwd: string;
  instances: number;
  /** The keeper's process. */
  keeper: number | null;
  processes: ProcessStatus[];
  /** Of a cluster. */
  workers: WorkerStatus[];
}

/** What the daemon answers when it refuses (`ERR_RCLUSTER_…`), or is not there (`ERR_RCLUSTER_NO_DAEMON`). */
export class ManagerError extends Error {
  constructor(code: string, message: string);
  code: string;
}

/** The manager of a home folder: a daemon that is started when it is needed. */
export class Manager {
  /** @param options `home`: the folder; `$RCLUSTER_HOME` or `~/.rcluster` by default. */
  constructor(options?: { home?: string });
  readonly home: string;
  /** Starts the daemon if none runs. */
  ensureDaemon(): Promise<void>;
  /** Whether a daemon answers. */
  isRunning(): Promise<boolean>;
  ping(): Promise<{ pid: number }>;
  /** All apps and what their processes are doing. */
  list(): Promise<AppStatus[]>;
  /** Starts apps; those that are known under the same name start anew when something of them has changed. */
  start(apps: Partial<App>[]): Promise<AppStatus[]>;
  /**
   * Does something to what `target` names: `all`, a name, a number, or a namespace. The operations are `start`, `stop`, `restart`, `reset`, `signal`, `send`,
   * `stdin`, `flush` and `reopen`.
   */
  act(target: string, operation: string, body?: object): Promise<AppStatus[]>;
  /** What apps are, but for their environment. */
  describe(target: string): Promise<App[]>;
  /** Stops apps and forgets them. */
  delete(target: string): Promise<AppStatus[]>;
  /** Stops all apps and ends the daemon. */
  kill(): Promise<null>;
  /** Any request of the API. */
  request(method: string, url: string, body?: object): Promise<any>;
  /** Lets the process end. */
  close(): void;
}
