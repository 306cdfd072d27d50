/// <reference types="node" />

// The declarations are our own and not re-exports of `node:cluster`, so that they read the same with every
// version of @types/node (a type package that rcluster does not bring along). __test__/types/ checks that
// they are interchangeable with Node's in both directions.

import { ChildProcess, MessageOptions, SendHandle, Serializable } from 'node:child_process';
import { EventEmitter } from 'node:events';

declare namespace cluster {
  /**
   * How messages travel between primary and worker: `'json'` (the default), or `'advanced'` for the structured
   * clone algorithm, which also carries `Map`, `Set`, `BigInt`, `Date`, `Error`, typed arrays and cycles.
   */
  type SerializationType = 'json' | 'advanced';

  /** What {@link Cluster.setupPrimary} takes and {@link Cluster.settings} holds. Every member is optional. */
  interface ClusterSettings {
    /** Arguments for the Node executable. Default: `process.execArgv`. */
    execArgv?: string[] | undefined;
    /** Path of the file that workers run. Default: `process.argv[1]`. */
    exec?: string | undefined;
    /** Arguments for that file. Default: `process.argv.slice(2)`. */
    args?: readonly string[] | undefined;
    /** Directory in which workers start. Default: the primary's. */
    cwd?: string | undefined;
    /** How messages are serialised. Default: `'json'`. */
    serialization?: SerializationType | undefined;
    /**
     * `true` keeps the output of workers from the primary's own; it is then read from `worker.process.stdout` and
     * `worker.process.stderr`. Default: `false`.
     */
    silent?: boolean | undefined;
    /** The workers' standard streams, as in `child_process.fork`, with an `'ipc'` entry. Goes before `silent`. */
    stdio?: any[] | undefined;
    /** Numeric user id that workers run as; setuid(2). */
    uid?: number | undefined;
    /** Numeric group id that workers run as; setgid(2). */
    gid?: number | undefined;
    /**
     * The inspector's port of a worker, or a function that is called once per worker and returns it. Default: one
     * more for each worker, beginning after `process.debugPort`.
     */
    inspectPort?: number | (() => number) | undefined;
    /** Hides the console windows that Windows would open for workers. Default: `false`. */
    windowsHide?: boolean | undefined;
  }

  /** Where a worker listens: the argument of the `listening` events. */
  interface Address {
    /** The address, or for a Unix socket its path. */
    address: string;
    /** The port; the real one where the worker asked for 0. `-1` for a Unix socket. */
    port: number;
    /** `4` and `6`: TCP over IPv4 and IPv6. `-1`: Unix socket. `'udp4'` and `'udp6'`: UDP. */
    addressType: 4 | 6 | -1 | 'udp4' | 'udp6';
  }

  /** The events of a {@link Worker}, with the arguments of their listeners. */
  interface WorkerEventMap {
    /** The message channel has closed. */
    disconnect: [];
    /**
     * The process could not be started or killed, a message could not be sent, or the channel broke:
     * `ERR_RCLUSTER_MALFORMED_MESSAGE` where what came through it makes no sense or breaks a rule; it is closed then.
     */
    error: [error: Error];
    /**
     * The process has ended: `code` is its exit code, `signal` the name of the signal that ended it. Exactly one of
     * them is set, the other is `null` at run time.
     */
    exit: [code: number, signal: string];
    /** A server of the worker listens. Primary only. */
    listening: [address: Address];
    /** A message has arrived from the other side: in the primary from the worker, in the worker from the primary. */
    message: [message: any, handle: SendHandle];
    /** The worker runs. Primary only. */
    online: [];
  }

  /** The events of {@link Cluster}, with the arguments of their listeners. All but `draining` are the primary's. */
  interface ClusterEventMap {
    /**
     * In a supervised worker: it is out of the rotation and finishes what it has, for at most
     * {@link SuperviseOptions.drainTimeout}. HTTP connections are taken care of; tell others (WebSockets, event streams,
     * raw sockets) to go.
     */
    draining: [];
    /** The message channel of a worker has closed. */
    disconnect: [worker: Worker];
    /** A worker's process has ended; `code` and `signal` as in {@link WorkerEventMap.exit}. */
    exit: [worker: Worker, code: number, signal: string];
    /** A worker was forked; it does not run yet. */
    fork: [worker: Worker];
    /** A server of a worker listens. */
    listening: [worker: Worker, address: Address];
    /** A message has arrived from a worker. */
    message: [worker: Worker, message: any, handle: SendHandle];
    /** A worker runs. */
    online: [worker: Worker];
    /** {@link Cluster.setupPrimary} was called; `settings` is {@link Cluster.settings} at that moment. */
    setup: [settings: ClusterSettings];
  }

  /** An `EventEmitter` whose own events are typed; any other event name is accepted with untyped arguments. */
  interface TypedEventEmitter<Events extends { [Name in keyof Events]: unknown[] }> extends EventEmitter {
    addListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    addListener(event: string | symbol, listener: (...args: any[]) => void): this;
    emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean;
    emit(event: string | symbol, ...args: any[]): boolean;
    off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    off(event: string | symbol, listener: (...args: any[]) => void): this;
    on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    on(event: string | symbol, listener: (...args: any[]) => void): this;
    once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    once(event: string | symbol, listener: (...args: any[]) => void): this;
    prependListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    prependListener(event: string | symbol, listener: (...args: any[]) => void): this;
    prependOnceListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    prependOnceListener(event: string | symbol, listener: (...args: any[]) => void): this;
    removeListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
    removeListener(event: string | symbol, listener: (...args: any[]) => void): this;
  }

  /** What the constructor of {@link Worker} takes. `cluster.fork()` is the way to make a worker. */
  interface WorkerOptions {
    /** Default: `0`. */
    id?: number | undefined;
    /** The process that the worker stands for; its `error` and `message` events become the worker's. */
    process?: ChildProcess | undefined;
    /** The life-cycle state the worker begins in, such as `'online'`. Default: `'none'`. */
    state?: string | undefined;
  }

  /** A worker: in the primary a member of {@link Cluster.workers}, in the worker itself {@link Cluster.worker}. */
  interface ClusterWorker extends TypedEventEmitter<WorkerEventMap> {
    /** The worker's number, from 1 on and never used twice: the key in {@link Cluster.workers}. */
    id: number;
    /** Of a supervised worker: the number of its place, {@link SeatStatus.seat}. `undefined` without a supervisor. */
    instance?: number | undefined;
    /**
     * In the primary: the worker's connections, event loop and, where they are counted, HTTP requests, read from memory that it
     * shares. Nobody is asked, so that a worker that hangs can be looked at as well. `undefined` in a worker, and of a worker that
     * the program has made itself.
     */
    readonly stats?: WorkerStats | undefined;
    /** In the primary the worker's child process, in the worker the global `process`. */
    process: ChildProcess;
    /**
     * Whether the worker leaves on purpose: `true` once `disconnect()` or, in the primary, `kill()` was called, `false`
     * when it ended otherwise. `undefined`, at run time, before either.
     */
    exitedAfterDisconnect: boolean;

    /**
     * Sends a message: in the primary to the worker, in the worker to the primary. Messages arrive in the order in
     * which they were sent.
     *
     * @param message What `settings.serialization` can carry.
     * @param sendHandle A server, socket or UDP socket that the receiver gets a copy of, as the second argument of its
     *   `message` listeners. A `net.Socket` is closed here once it is sent, unless `keepOpen` is set.
     * @param options `keepOpen: true` keeps a sent `net.Socket` open on this side.
     * @param callback Called with `null` when the message has been handed to the kernel, or with the error; without a
     *   callback the error is emitted as `error`.
     * @returns `false` when the channel is closed or its backlog asks to send no more for now; the message is sent
     *   in the second case all the same.
     * @throws TypeError `ERR_MISSING_ARGS` without a message, `ERR_INVALID_ARG_TYPE` for one of an unsupported type,
     *   `ERR_INVALID_HANDLE_TYPE` for an unsupported handle, `ERR_RCLUSTER_UNSERIALIZABLE` for a message without a JSON form.
     *   `ERR_IPC_CHANNEL_CLOSED` is given to the callback.
     */
    send(message: Serializable, callback?: (error: Error | null) => void): boolean;
    send(message: Serializable, sendHandle: SendHandle, callback?: (error: Error | null) => void): boolean;
    send(
      message: Serializable,
      sendHandle: SendHandle,
      options?: MessageOptions,
      callback?: (error: Error | null) => void,
    ): boolean;

    /**
     * Ends the worker: in the primary disconnects it and then sends the signal, in the worker disconnects and then
     * exits with code 0.
     *
     * @param signal Name of the signal. Default: `'SIGTERM'`.
     */
    kill(signal?: string): void;

    /** The older name of {@link Worker.kill}. */
    destroy(signal?: string): void;

    /**
     * Takes the worker out of service: it closes its servers, waits for their connections to end, and closes the
     * message channel. Everything sent before is delivered first. Connections that still wait for the worker go to
     * others. Sets {@link Worker.exitedAfterDisconnect}; a second call does nothing.
     *
     * @returns The worker.
     */
    disconnect(): this;

    /** Whether the message channel is open. */
    isConnected(): boolean;

    /** Whether the process has ended. */
    isDead(): boolean;
  }

  // An alias, and not the interface itself: the name also stands for the class, and the type checker makes a second,
  // different interface of it where a file imports both meanings at once.
  /** A worker: in the primary a member of {@link Cluster.workers}, in the worker itself {@link Cluster.worker}. */
  type Worker = ClusterWorker;

  /** The constructor of {@link Worker}: for `instanceof`, and to derive from. */
  interface WorkerConstructor {
    new (options?: WorkerOptions): Worker;
    readonly prototype: Worker;
  }

  /** When a supervised worker counts as ready, and gets connections. */
  type Readiness =
    /**
     * A server of the worker listens, be it with `exclusive` or `reusePort`. One that replaces a worker has to listen on all
     * addresses that that one listens on. Where a worker does not listen within {@link SuperviseOptions.readyTimeout}, and no
     * other says that it must, it runs on and is waited for (`waiting`): it may be slow, or one that never listens.
     */
    | 'listening'
    /** The worker has called `process.send('ready')`. */
    | 'message'
    /** The worker runs. */
    | 'online';

  /** When to start a worker again that has died by itself. Every member is optional. */
  interface RestartOptions {
    /** Milliseconds before the first restart, of which up to a half is left to chance. Default: `100`. */
    delay?: number | undefined;
    /** By which the delay grows with each crash. Default: `1.5`. */
    factor?: number | undefined;
    /** Milliseconds, the longest delay. Default: `15000`. */
    max?: number | undefined;
    /** Milliseconds of life after which a worker's next delay is the first again. Default: `30000`. */
    resetAfter?: number | undefined;
    /**
     * So many crashes within {@link RestartOptions.window} are a crash loop. Four are enough, and fatal, as long as no worker
     * has ever been ready for {@link SuperviseOptions.settleTime}, or as long as none has lived for
     * {@link RestartOptions.resetAfter} and all die as they cannot listen. Default: `10`.
     */
    limit?: number | undefined;
    /** Milliseconds. Default: `60000`. */
    window?: number | undefined;
  }

  /**
   * What {@link Cluster.supervise} takes: the settings of {@link Cluster.setupPrimary}, and the following. Every member is
   * optional; `undefined` is as good as leaving it out.
   */
  /** One end of the connection between a client and its proxy. */
  interface ProxyEnd {
    address: string;
    family: 'IPv4' | 'IPv6';
    port: number;
  }

  /** What a proxy says of the TLS between the client and itself. */
  interface ProxyTls {
    encrypted: boolean;
    /** Whether the client has shown a certificate, on this connection or on an earlier one of its session. */
    hasCertificate: boolean;
    /** Whether the proxy has found it good. */
    verified: boolean;
    /** Such as `TLSv1.3`. */
    version?: string;
    /** Of the client's certificate. */
    commonName?: string;
    cipher?: string;
    signatureAlgorithm?: string;
    keyAlgorithm?: string;
    group?: string;
    signatureScheme?: string;
  }

  /** `socket.proxyHeader`: see haproxy.org/download/3.0/doc/proxy-protocol.txt. */
  interface ProxyHeader {
    version: 1 | 2;
    /** `LOCAL` when the proxy speaks for itself, as for a health check. */
    command: 'PROXY' | 'LOCAL';
    /** The client. Missing where it is not known. */
    source?: ProxyEnd;
    /** What it has connected to. */
    destination?: ProxyEnd;
    /** The protocol above TLS, such as `h2`. */
    alpn?: string;
    /** The name that the client has asked for (SNI). */
    authority?: string;
    uniqueId?: Buffer;
    /** The proxy's network namespace. */
    netns?: string;
    tls?: ProxyTls;
    /** All extensions, in order. */
    tlvs: { type: number; value: Buffer }[];
  }

  interface SuperviseOptions extends ClusterSettings {
    /** How many workers, from 1 to 1024; `'max'` is one per available core. Default: `'max'`. */
    workers?: number | 'max' | undefined;
    /** When a worker is ready. Default: `'listening'`. */
    ready?: Readiness | undefined;
    /**
     * Milliseconds; a worker that is not ready by then has failed, and is killed. Where others took longer it may take up to
     * twice as long as they did, but not more than six times this. What the primary was busy for is not counted. Default:
     * `10000`.
     */
    readyTimeout?: number | undefined;
    /**
     * Milliseconds that the first new worker of a reload has to stay alive, ready but without connections, before it counts.
     * Default: `1500`.
     */
    settleTime?: number | undefined;
    /**
     * Milliseconds that a worker has to finish what it has: its connections, its hooks, and what it does itself on SIGTERM; then
     * it is killed. Default: `10000`.
     */
    drainTimeout?: number | undefined;
    /** When to start a worker again that has died. */
    restart?: RestartOptions | undefined;
    /**
     * Milliseconds; a worker whose event loop has not turned for so long, and does not when it is asked to, is killed and
     * replaced. `0` for never, as for workers under a debugger. Default: `30000`.
     */
    hangTimeout?: number | undefined;
    /** How: `'SIGABRT'` leaves a core, or a report of Node's where that is configured. Default: `'SIGKILL'`. */
    hangSignal?: 'SIGKILL' | 'SIGABRT' | undefined;
    /**
     * Bytes of memory (resident set), or a string such as `'300M'`, `'1.5G'`: a worker above it is replaced, the new one
     * first. Looked at every 2 seconds. `0` for no limit. Default: `0`.
     */
    maxMemory?: number | string | undefined;
    /**
     * What a worker does on an uncaught exception or unhandled rejection that it has no listener for: `'exit'` at once, as
     * Node does; or `'drain'`: it tells the primary, leaves the rotation and is replaced, finishes what it has, and exits with
     * code 1. Default: `'exit'`.
     */
    crash?: 'exit' | 'drain' | undefined;
    /**
     * Whether idle HTTP connections of a worker that leaves go on in another one. With `false` they are closed, as those are
     * that cannot. Default: `true`.
     */
    move?: boolean | undefined;
    /**
     * Whether workers count the HTTP/1 requests that they serve, and how long those take: {@link WorkerStats.http}. It costs them a
     * little with each request. Default: `false`.
     */
    countRequests?: boolean | undefined;
    /**
     * Whether what the app itself counts in prom-client's default registry is gathered from all workers, and served at `/metrics` of the
     * health endpoint and of the process manager. prom-client is the app's own. Default: `false`.
     */
    appMetrics?: boolean | undefined;
    /** How many workers a reload replaces at a time; the first is always replaced alone. Default: `1`. */
    reloadParallel?: number | undefined;
    /**
     * `keepAliveTimeout` (milliseconds, 0 for ever) of HTTP servers that have Node's own when they listen: for how long a connection may
     * stay idle. Behind a proxy that keeps connections it has to be longer than the proxy's, which would otherwise send a request on
     * one that is just being closed. Default: as Node has it.
     */
    keepAliveTimeout?: number | undefined;
    /**
     * Proxies that say whom a connection is from, by the PROXY protocol, version 1 or 2: addresses and networks such as `10.0.0.0/8` and
     * `::1`, and `unix` for whoever connects to a Unix socket; a list, or a text of several parted by commas. Connections from them have to
     * begin with a header; `socket.remoteAddress` and the like are then the client's, and `socket.proxyHeader` says more.
     * Connections from others are served as they are. Default: none.
     */
    proxyProtocol?: string | readonly string[] | undefined;
    /**
     * Milliseconds for which the service goes on when it is told to stop: listeners stay open, workers that die are replaced, and each
     * HTTP/1 answer says `Connection: close`, while whoever sends clients here hears that it ends (`/ready` is 503 meanwhile). Then it
     * stops. `kill()`, or a second signal, ends that. A service that was never ready does not wait. Default: `0`.
     */
    stopDelay?: number | undefined;
    /**
     * Where the primary answers probes: a port, `'host:port'`, or the path of a Unix socket (with a slash). `/live` is 200 as long as the
     * primary's event loop turns; `/ready` is 200 when at least {@link SuperviseOptions.minReady} workers are ready, and 503 before that
     * and from the moment on in which it is told to stop (404 for `/ready?leaving=404`). Default: nowhere.
     */
    health?: number | string | undefined;
    /**
     * An address for each worker alone, for a proxy that sends a client to the same worker each time. `'3001+'` (or `'127.0.0.1:3001+'`) is
     * port 3001 for the worker with `NODE_APP_INSTANCE` 0, 3002 for the next, and so on; `'./app.{seat}.sock'` the same with Unix sockets.
     * What comes there is served by the first server that the worker listens with on TCP or a Unix socket, or, with `':3000'` behind it, by
     * the one of that port. It stays open while the worker is being replaced. Throws `ERR_RCLUSTER_SEAT_LISTEN` where one cannot be
     * opened; not with the policy `'none'`. Default: nowhere.
     */
    seatListen?: string | undefined;
    /** With fewer ready workers `/ready` says 503; where there are fewer workers at all, all of them have to be. Default: `1`. */
    minReady?: number | undefined;
    /**
     * Whether signals to the primary are acted on: SIGTERM and SIGINT stop, a second one kills; SIGHUP reloads, or stops when
     * it means that the terminal was closed; SIGUSR2 writes
     * the status to stderr as JSON. Workers then leave these signals to the primary. Default: `false`.
     */
    signals?: boolean | undefined;
    /**
     * Variables to add to the environment of workers, besides `NODE_APP_INSTANCE`, which is {@link SeatStatus.seat} if it is
     * not among them.
     */
    env?: Record<string, unknown> | undefined;
    /** Who gets a connection: the name of a policy, or one of the `SCHED_` numbers. Default: {@link Cluster.schedulingPolicy}. */
    policy?: 'none' | 'rr' | 'least' | 'sticky' | 'reuseport' | 1 | 2 | 3 | 4 | 5 | undefined;
  }

  /** {@link SuperviseOptions}, completed with the defaults; frozen. */
  interface SupervisorOptions {
    readonly workers: number;
    readonly ready: Readiness;
    readonly readyTimeout: number;
    readonly settleTime: number;
    readonly drainTimeout: number;
    readonly restart: Readonly<Record<keyof RestartOptions, number>>;
    readonly hangTimeout: number;
    readonly hangSignal: 'SIGKILL' | 'SIGABRT';
    /** Bytes. */
    readonly maxMemory: number;
    readonly crash: 'exit' | 'drain';
    readonly move: boolean;
    readonly countRequests: boolean;
    readonly appMetrics: boolean;
    readonly reloadParallel: number;
    readonly keepAliveTimeout: number | undefined;
    readonly proxyProtocol: readonly string[] | undefined;
    readonly stopDelay: number;
    readonly health: Readonly<{ path: string } | { host?: string; port: number }> | undefined;
    readonly seatListen: Readonly<{ path: string; of?: number } | { host?: string; port: number; of?: number }> | undefined;
    readonly minReady: number;
    readonly signals: boolean;
    readonly env: Readonly<Record<string, unknown>> | undefined;
    readonly policy: number | undefined;
    /** What {@link Cluster.setupPrimary} was called with. */
    readonly settings: Readonly<ClusterSettings>;
  }

  /** How a worker's place was taken by a new one. */
  interface ReloadedWorker {
    /** The number of the place, from 0 on. */
    seat: number;
    /** Of the worker that left; `undefined` where it had died. */
    oldPid: number | undefined;
    newPid: number | undefined;
    /** Milliseconds from the fork of the new worker until it was ready. */
    readyTime: number;
    /** Milliseconds that the old one took to finish. */
    drainTime: number;
    /** Connections of the old one that went on in other workers. */
    moved: number;
    /** Connections of the old one that ended by themselves. */
    finished: number;
    /** Connections of the old one that were cut off when its time was up. */
    cut: number;
  }

  /** What a reload has done. */
  interface ReloadReport {
    /** The workers that were replaced, in the order in which the old ones had finished. */
    workers: ReloadedWorker[];
    /** Milliseconds. */
    time: number;
  }

  /** The error of an upgrade that has failed; see {@link Supervisor.upgrade}. */
  interface UpgradeError extends Error {
    code: 'ERR_RCLUSTER_UPGRADE_FAILED' | 'ERR_RCLUSTER_UPGRADING' | 'ERR_RCLUSTER_STOPPED';
  }

  /** What {@link Supervisor.upgrade} did. */
  interface UpgradeReport {
    oldPid: number;
    newPid: number | undefined;
    /** Of rcluster, and of Node, in the new primary; absent if it has never said anything. */
    version?: string;
    node?: string;
    /** Connections that went on in workers of the new primary. */
    moved: number;
    /** Connections that ended by themselves. */
    finished: number;
    /** Connections that were open at the deadline. */
    cut: number;
    /** ms that the slowest worker took to finish. */
    drainTime: number;
    /** ms that each step took, in their order: see docs/upgrade.md. */
    steps: Partial<Record<'starting' | 'giving' | 'waiting' | 'committing' | 'probation', number>>;
    /** ms */
    time: number;
  }

  /** The error of a reload that has failed; see {@link Supervisor.reload}. */
  interface ReloadError extends Error {
    code: 'ERR_RCLUSTER_RELOAD_FAILED' | 'ERR_RCLUSTER_STOPPED';
    /** Why the new worker failed (`ERR_RCLUSTER_NOT_READY`), with its last output. */
    cause?: Error | undefined;
    /** What was done before. */
    report: ReloadReport;
  }

  /** How a worker ended. */
  interface WorkerExit {
    /** When: milliseconds since the epoch. */
    time: number;
    pid: number | undefined;
    /** Exactly one of `code` and `signal` is set; neither is where the process could not be started. */
    code: number | null;
    signal: string | null;
    /** In words: `exited with code 1`, `was killed by SIGSEGV`, `did not turn its event loop for 30000 ms`. */
    reason: string;
    /** How many connections were open in it, and ended with it. */
    connections: number;
  }

  /** How long something took, each time that it happened. */
  interface Histogram {
    /** How often it did. */
    count: number;
    /** Milliseconds of all together. */
    sum: number;
    /**
     * Milliseconds that half of them took at most (and 90, and 99 of 100), estimated from the buckets; 0 when it never happened. Above
     * 10,000 it is 10,000.
     */
    p50: number;
    p90: number;
    p99: number;
    /** Milliseconds: 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000. */
    bounds: readonly number[];
    /** How many took up to each of the bounds and longer than the one before; the last is of those that took longer than all. */
    counts: number[];
  }

  /** What a worker's counters say: since it was started, and without having asked it. */
  interface WorkerStats {
    /** Connections open in it, waiting in its queue, and that it has ever had. */
    connections: { active: number; queued: number; total: number };
    /**
     * Its event loop: the part (0 to 1) of its time that it has been running, its longest turn in milliseconds, its turns, and
     * how long they took, which is what anything had to wait that became ready meanwhile.
     */
    loop: { utilization: number; longestTurn: number; turns: number; delay: Histogram };
    /**
     * How long connections waited from when the primary had accepted them until their server had them, wherever that was. Those that a
     * worker accepts itself (`SCHED_NONE`, `SCHED_REUSEPORT`) do not wait between the two and are not counted, nor are connections
     * that have moved. Not known is how long a connection was in the kernel's backlog before, while no worker could take any.
     */
    waiting: Histogram;
    /**
     * HTTP/1 requests that have come, those of them that were answered with a status of 500 or more, and how long it took from a request's
     * headers until all of the response was given to the kernel. With {@link SuperviseOptions.countRequests} only.
     */
    http: { requests: number; errors: number; time: Histogram } | undefined;
  }

  /** One place of a service, and the worker that has it. */
  interface SeatStatus extends WorkerStats {
    /**
     * The number of the place: workers come and go, it stays. The places are numbered from 0 without gaps; the highest go when
     * the service gets smaller. It is `NODE_APP_INSTANCE` and {@link ClusterWorker.instance} of its worker.
     */
    seat: number;
    /** `undefined` while the next start is awaited. */
    pid: number | undefined;
    /** The worker's {@link Worker.id}. */
    id: number | undefined;
    /**
     * `starting`: not ready yet; `running`: its time is over and it does not listen, see {@link Readiness}; `ready`; `retiring`:
     * finishes what it has; `failed`: was not ready in time, and is being killed; `exited`; `restarting`: there is none, the
     * next start is awaited.
     */
    state: 'starting' | 'running' | 'ready' | 'retiring' | 'failed' | 'exited' | 'restarting';
    /** Milliseconds since the worker was forked. */
    uptime: number;
    /** How many workers of this place have died by themselves. */
    restarts: number;
    /** How the last worker of this place ended that has. */
    lastExit: WorkerExit | undefined;
    /** Bytes (resident set). */
    memory: number;
    /** Milliseconds of CPU time used. */
    cpu: number;
  }

  /** What {@link Supervisor.status} returns. */
  interface SupervisorStatus {
    state: 'running' | 'reloading' | 'stopping' | 'stopped';
    workers: SeatStatus[];
    /** Workers that have no place any more and finish what they have: `uptime` in milliseconds, connections open. */
    leaving: { pid: number | undefined; uptime: number; connections: number }[];
  }

  /** The events of a {@link Supervisor}, with the arguments of their listeners. */
  interface SupervisorEventMap {
    /** All workers are ready for the first time. */
    ready: [];
    /**
     * A worker does not listen after `time` milliseconds and is waited for; told once. A service that is slow to start needs
     * a longer {@link SuperviseOptions.readyTimeout}, one that does not listen `ready: 'online'` or `'message'`.
     */
    waiting: [event: { pid: number | undefined; time: number }];
    /** A worker `got SIGTERM` or `called disconnect()` (either side): it is replaced, the new one first. */
    replace: [event: { seat: number; pid: number | undefined; reason: string }];
    /**
     * A worker has died, will soon (with `crash: 'drain'`), or has lost its channel; another one starts after `delay`
     * milliseconds.
     */
    restart: [
      event: {
        seat: number;
        pid: number | undefined;
        /** As in {@link WorkerExit.reason}. */
        reason: string;
        delay: number;
        /** Of this place so far. */
        restarts: number;
        /** The stack of the error that it died of, or what it wrote last before it was ready; may be empty. */
        lastWords: string;
      },
    ];
    /**
     * The {@link SuperviseOptions.health} endpoint listens, on this address; or, with `error`, cannot: then the supervisor stops, and
     * `whenReady` rejects with the same.
     */
    health: [event: { address: string; error: (Error & { code: 'ERR_RCLUSTER_HEALTH' }) | undefined }];
    /** A worker was to be replaced (for its memory, or after `disconnect()`), and the new one failed: the old one stays. */
    'restart-failed': [error: Error & { code: string }];
    /** The event loop of a worker has not turned for `time` milliseconds: it is killed, `restart` follows. */
    hang: [event: { pid: number | undefined; time: number }];
    /** A worker uses more `bytes` than `maxMemory`: its replacement starts after `delay` milliseconds. */
    memory: [event: { pid: number | undefined; bytes: number; delay: number }];
    /**
     * Workers die too often. `fatal` when the service has never worked ({@link RestartOptions.limit}): the supervisor then
     * stops. Otherwise it goes on, with growing delays.
     */
    'crash-loop': [event: { fatal: boolean; error: Error & { code: 'ERR_RCLUSTER_CRASH_LOOP' } }];
    /** A reload begins. */
    reloading: [];
    /** A reload is over; with `error` when it has failed, as {@link Supervisor.reload} rejects. */
    reload: [report: ReloadReport & { error?: ReloadError }];
    /** An upgrade begins. */
    upgrading: [];
    /** An upgrade is over; with `error` when it has failed, as {@link Supervisor.upgrade} rejects. */
    upgraded: [report: (UpgradeReport & { error?: undefined }) | (Omit<UpgradeReport, 'moved' | 'finished' | 'cut' | 'drainTime'> & { error: UpgradeError })];
    /** This primary was started for an upgrade, and the service is its own from now on. */
    'took-over': [];
    /** A signal has come (with `signals: true`), and leads to this. */
    signal: [signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', action: 'stop' | 'kill' | 'reload' | 'status'];
    /** The supervisor stops: no worker is started any more. */
    stopping: [];
    /** All workers have ended. */
    stopped: [];
  }

  /** Keeps a service running; made by {@link Cluster.supervise}. A listener of its that throws is reported as a warning. */
  interface Supervisor extends TypedEventEmitter<SupervisorEventMap> {
    /** The options in force. */
    readonly options: SupervisorOptions;

    /**
     * Resolves when all workers are ready for the first time. Rejects with `ERR_RCLUSTER_CRASH_LOOP` when they die again and
     * again before any was ever ready, and with `ERR_RCLUSTER_STOPPED` when the supervisor was stopped before.
     */
    whenReady(): Promise<void>;

    /**
     * Replaces all workers, one after the other or {@link SuperviseOptions.reloadParallel} at a time. A new worker is ready
     * before the old one leaves. During a reload it comes after that one, as what was started by then may be of an older
     * version; several that wait are one.
     *
     * Rejects with a {@link ReloadError} when a new worker fails: `ERR_RCLUSTER_RELOAD_FAILED`, the old workers that were not
     * replaced before go on (the message has `ERR_RCLUSTER_VERSION` when rcluster itself was updated meanwhile: then
     * {@link Supervisor.upgrade} is what helps); or `ERR_RCLUSTER_STOPPED`. The rejection may be ignored: the `reload` event tells the same.
     */
    reload(): Promise<ReloadReport>;

    /**
     * Replaces this primary by another one, which is started as this one was: by the name of Node and of the script as they were
     * written, so that it may be of another version. A reload that is under way comes first. No connection is refused meanwhile, and
     * idle ones go on in workers of the new primary. Resolves when the workers of this one have finished. This process then ends, or stays as
     * the parent of the new one where nobody would know that one.
     *
     * Rejects with an {@link UpgradeError}, and all is as it was before: `ERR_RCLUSTER_UPGRADE_FAILED` when the new primary
     * fails, `ERR_RCLUSTER_UPGRADING` when it cannot be now, `ERR_RCLUSTER_STOPPED` when the supervisor stops. The rejection may be
     * ignored: the `upgraded` event tells the same of one that has begun.
     */
    upgrade(): Promise<UpgradeReport>;

    /**
     * Changes the count of workers. Resolves when new ones are ready and surplus ones have finished.
     *
     * Rejects with `ERR_RCLUSTER_BAD_OPTION` for a bad count, `ERR_RCLUSTER_STOPPED` when the supervisor stops, and
     * `ERR_RCLUSTER_NOT_READY` when a new worker failed at its first start (it is started again).
     */
    scale(workers: number | 'max'): Promise<void>;

    /**
     * Stops listening, lets all workers finish what they have for at most {@link SuperviseOptions.drainTimeout}, and resolves
     * when they have ended. A reload that is under way is given up. Again, it returns the same promise.
     */
    stop(): Promise<void>;

    /** Kills all workers with SIGKILL. Resolves when they have ended. */
    kill(): Promise<void>;

    /** What each worker is doing. */
    status(): SupervisorStatus;
  }

  /** Whether rcluster is at work in this process: its version, or in one sentence why Node's own module is. */
  type RclusterStatus =
    | { readonly native: true; readonly version: string }
    | { readonly native: false; readonly reason: string };

  /**
   * The module: the very object that `require('node:cluster')` returns.
   *
   * The primary lacks `worker` and `onShutdown`, and a worker lacks `fork`, `disconnect`, `settings`, `setupPrimary`,
   * `setupMaster`, `supervise`, `workers` and the scheduling policies, as in Node. They are not optional here because Node's
   * types have them so.
   */
  interface Cluster extends TypedEventEmitter<ClusterEventMap> {
    /** Tells rcluster from Node's own module. */
    readonly rcluster: RclusterStatus;

    /** The class of workers. */
    readonly Worker: WorkerConstructor;

    /** `true` in the process that forks workers. */
    readonly isPrimary: boolean;
    /** @deprecated Use {@link Cluster.isPrimary}. */
    readonly isMaster: boolean;
    /** `true` in a worker. */
    readonly isWorker: boolean;

    /** In a worker: the worker itself. */
    readonly worker?: Worker;
    /**
     * In the primary: the workers by {@link Worker.id}. One leaves as soon as its `disconnect()` is called, or when it
     * has both ended and lost its channel.
     */
    readonly workers?: NodeJS.Dict<Worker>;

    /** In the primary: what workers are forked with; `{}` before the first `fork` or `setupPrimary`. */
    readonly settings: ClusterSettings;

    /**
     * Sets what later workers are forked with; members that are left out keep their values. Primary only.
     * Values are checked when they are used: the next `fork` throws a `TypeError` with the code `ERR_INVALID_ARG_TYPE`
     * or `ERR_INVALID_ARG_VALUE` for one that `child_process.fork` refuses.
     */
    setupPrimary(settings?: ClusterSettings): void;
    /** @deprecated Use {@link Cluster.setupPrimary}. */
    setupMaster(settings?: ClusterSettings): void;

    /**
     * Starts a worker. Primary only.
     *
     * @param env Variables to add to the worker's environment, as `{ NAME: value }`.
     * @returns The worker; it is `online` later.
     * @throws Error `ERR_RCLUSTER_FORK` when what a tool has put in the place of `child_process.fork` does not do as that does.
     */
    fork(env?: any): Worker;

    /**
     * Disconnects all workers. Primary only.
     *
     * @param callback Called when all are disconnected and every listening socket is closed.
     */
    disconnect(callback?: () => void): void;

    /**
     * Starts workers and keeps them running: replaced when they die, hang or grow, and all of them on a reload. Primary only,
     * and only where rcluster is at work ({@link Cluster.rcluster}). There is one supervisor at a time.
     *
     * @throws TypeError `ERR_RCLUSTER_BAD_OPTION` for an option that does not exist or has a bad value; Error
     *   `ERR_RCLUSTER_SUPERVISED` when there is a supervisor that has not stopped; what {@link Cluster.fork} throws, when not
     *   even the first worker can be forked.
     */
    supervise(options?: SuperviseOptions): Supervisor;

    /**
     * In a worker: something to do before it ends, such as closing a connection to a database. Hooks are run one after the
     * other, in the order in which they were given, when the worker has been told to leave and its last connection has ended, or
     * when 80 % of {@link SuperviseOptions.drainTimeout} are over; in a worker without a supervisor, when `disconnect()` has closed
     * its servers. One that throws is reported as a warning, and the next is
     * run. Missing in the primary: call it as `cluster.onShutdown?.(hook)` in a program that may also run by itself.
     *
     * @throws TypeError `ERR_INVALID_ARG_TYPE` when the hook is no function.
     */
    readonly onShutdown?: (hook: () => unknown) => void;

    /**
     * Who gets a connection: one of the `SCHED_` numbers. Settle it before the first worker listens. Default:
     * {@link Cluster.SCHED_RR}, or what the environment variable `NODE_CLUSTER_SCHED_POLICY` names (`none`, `rr`).
     */
    schedulingPolicy: number;
    /** Workers share the listening socket and compete for connections. */
    readonly SCHED_NONE: 1;
    /** Connections go to the workers in turn. */
    readonly SCHED_RR: 2;
    /** The worker with the fewest active connections is next. New in rcluster: missing where the policy is. */
    readonly SCHED_LEAST?: 3;
    /** The same client address gets the same worker. New in rcluster: missing where the policy is. */
    readonly SCHED_STICKY?: 4;
    /** A listening socket per worker, and the kernel distributes. New in rcluster: missing where the policy is. */
    readonly SCHED_REUSEPORT?: 5;
  }
}

declare module 'net' {
  interface Socket {
    /**
     * In a supervised worker: with `true` this connection is finished and closed when the worker leaves, instead of going on in
     * another one; with `false` it may go on there although the program does something of its own with it. When it is missing, a
     * connection on which the program has put nothing moves.
     */
    unmovable?: boolean | undefined;

    /**
     * In a worker that is supervised with {@link cluster.SuperviseOptions.proxyProtocol}: what the proxy has said of this connection.
     * `undefined` where nothing was said, and when it was not asked for before the connection was over.
     */
    readonly proxyHeader?: cluster.ProxyHeader | undefined;
  }
}

declare const cluster: cluster.Cluster;
export = cluster;
