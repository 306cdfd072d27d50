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
    /** The process could not be started or killed, a message could not be sent, or the channel broke. */
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

  /** The events of {@link Cluster}, with the arguments of their listeners. All are emitted in the primary only. */
  interface ClusterEventMap {
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
     *   `ERR_INVALID_HANDLE_TYPE` for an unsupported handle. `ERR_IPC_CHANNEL_CLOSED` is given to the callback.
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

  /** Whether rcluster is at work in this process: its version, or in one sentence why Node's own module is. */
  type RclusterStatus =
    | { readonly native: true; readonly version: string }
    | { readonly native: false; readonly reason: string };

  /**
   * The module: the very object that `require('node:cluster')` returns.
   *
   * The primary lacks `worker`, and a worker lacks `fork`, `disconnect`, `settings`, `setupPrimary`, `setupMaster`,
   * `workers` and the scheduling policies, as in Node. They are not optional here because Node's types have them so.
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
     */
    fork(env?: any): Worker;

    /**
     * Disconnects all workers. Primary only.
     *
     * @param callback Called when all are disconnected and every listening socket is closed.
     */
    disconnect(callback?: () => void): void;

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

declare const cluster: cluster.Cluster;
export = cluster;
