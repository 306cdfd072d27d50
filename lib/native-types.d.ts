// What the native part exports. Made of the Rust code (src/js/) by scripts/native-types.js.

/** Of a frame or an event: lib/channel/kinds.js. */
export type Event = number;
export type OnEvent = (kind: Event, payload: string | Buffer | number, fd: number) => void;
export type OnConnection = (fd: number, listener: number, left: number, said?: Buffer) => void;
export type Kind = 'tcp' | 'pipe' | 'udp';

/** The one acceptor of a primary. */
export interface Acceptor {
  /**
   * Adds a worker by its link. `seat` is the number by which clients stick to it, the smallest that is free by default. Returns the number that names it, and never another one: with the number of a worker that has
   * been removed, everything here does nothing.
   */
  addWorker(link: Link, seat?: number): number;
  /**
   * The worker has died or disconnected; what it has not taken goes to others. Returns how many connections it had
   * taken that were not over.
   */
  removeWorker(worker: number): number;
  /**
   * Binds, listens, and returns the listener's id (1 or more), or a negative errno. `policy` is the number of one of
   * the policies under which the acceptor accepts. `senders`: who is believed when it says first whom a connection is from (PROXY
   * protocol), for a policy that goes by that.
   */
  listen(binding: Binding, policy: number, senders?: Array<string>): number;
  /**
   * A listening socket of the worker's own on the address of a listener that was bound with `reusePort`. Returns a
   * descriptor that the caller must pass to `closeFd`, or a negative errno.
   */
  ownSocket(listener: number, worker: number, backlog: number): number;
  /** Closes the listening socket at once. */
  closeListener(listener: number): void;
  /** The same, but what has come by then is still given to its workers. */
  finishListener(listener: number): void;
  /** Whether connections of a listener that was finished still wait for a worker. */
  isFinishing(): boolean;
  /** The address that a TCP listener is bound to. */
  address(listener: number): Address | null;
  /** One more socket of a listener that was bound with `reusePort`: what `fd` names. Returns 0 or a negative errno. */
  addSocket(listener: number, fd: number): number;
  /**
   * A duplicate of a listener's socket, or of one of them, for whoever keeps it for the time after us. Returns a descriptor that
   * the caller must pass to `closeFd`, or a negative errno.
   */
  listenerFd(listener: number): number;
  /** The worker gets connections of that listener from now on. */
  addMember(listener: number, worker: number): void;
  /**
   * From now on what comes back from the worker `old` goes to `heir`, as long as that one serves the same listener and its
   * loop turns; clients that stick to `old` stick to `heir`.
   */
  succeed(old: number, heir: number): void;
  /** Makes an idle worker's event loop turn. */
  nudge(worker: number): void;
  /** The worker cannot use the socket of its own. */
  disown(listener: number, worker: number): void;
  /** Duplicates of all of a listener's sockets, which the caller must pass to `closeFd`; nothing when there is no room for them. */
  listenerFds(listener: number): number[];
  /**
   * Another primary accepts from all our sockets from now on: what nobody has taken, and what comes back, goes to it over a pair of
   * `packetPair`. Both ends are taken.
   */
  handOver(out: number, back: number): void;
  /** The other primary has died: we accept again, and have back what it had not received. */
  handBack(): void;
  /** How many connections have gone to the other primary, and how many are still to go. */
  crossing(): number[];
  /** What comes from another primary over this end of a pair goes to our workers. `theirs` are its listeners' ids, `ours` those here. */
  addSource(fd: number, theirs: number[], ours: number[]): number;
  /** It gets none any more. Returns how many workers still do. */
  removeMember(listener: number, worker: number): number;
}

/**
 * One end of a message channel.
 *
 * `onEvent(kind, payload, fd)` gets everything that arrives: `kind` is a frame's kind (1–9) with its payload (a
 * string, or a Buffer for V8's format) and the descriptor that came with it (or -1), or one of the events above 15.
 */
export interface Channel {
  /** Starts (or goes on) to read. What had been read before is delivered from the event loop, too. */
  resume(): void;
  /** Reads nothing until `resume`. */
  pause(): void;
  /** Nothing more comes or goes: the end is told when what is unread has been read, whoever has the other end. */
  shutDown(): void;
  /** Reads nothing more. Returns whether more of what was read before is being delivered; `Delivered` comes when that is over. */
  endReading(): boolean;
  /**
   * Queues a frame of text. `length` is the text's length in UTF-16 units. `fd` (or -1) is duplicated.
   * Returns 0 or a negative errno.
   */
  pushText(kind: number, text: string, length: number, fd: number): number;
  /** `pushText` without a descriptor and `flush`, in one call. */
  writeText(kind: number, text: string, length: number): number;
  /** Queues a frame of bytes. The Buffer is ours from then on: one that is not too long is freed when it is written. Otherwise as `pushText`. */
  pushBytes(kind: number, bytes: Buffer, fd: number): number;
  /**
   * Writes as much as the kernel takes now; the rest follows by itself, with `Progress` events. Returns the bytes
   * that are still queued, or a negative errno, after which nothing is.
   */
  flush(): number;
  /** Whether nothing but another `flush`, after a while, will write what is queued. */
  readonly stalled: boolean;
  /** Writes what is queued, waiting for at most `milliseconds`: for the end of the process. Returns as `flush`. */
  flushBlocking(milliseconds: number): number;
  /** Bytes that are not written yet. */
  readonly queued: number;
  /** Bytes that were ever queued, frames' headers included. */
  readonly pushed: number;
  /** The descriptor's number; -1 when closed. */
  readonly fd: number;
  /** Whether an open channel keeps the process alive. It does not at first. */
  setRef(referenced: boolean): void;
  /** Closes at once; what is queued is dropped, and what was read and not delivered. Doing it again does nothing. */
  close(): void;
}

/** What a worker's board says, for statistics. */
export interface BoardReading {
  /** Connections that the worker has taken from its queue. */
  taken: number;
  /** Connections open in it. */
  active: number;
  /** Connections that it has ever had. */
  total: number;
  /** Connections that wait in its queue. */
  queued: number;
  /** Turns of its event loop. */
  turns: number;
  /** Milliseconds that it is known to have been running without having waited for events; 0 when it waits. */
  runningFor: number;
  /** The part (0 to 1) of its time that its event loop has been running. */
  utilization: number;
  /** Milliseconds of the longest turn of its event loop. */
  longestTurn: number;
}

/** A channel, a connection queue and a board, made for one worker. */
export interface Link {
  /** The number of the descriptor that the worker is to inherit, until `spawned` is called. */
  readonly workerFd: number;
  /** The worker has inherited its end (or was never started): closes our copy of it. */
  spawned(): void;
  /** The worker has died without having been added to the acceptor, or was never started: closes what is left. */
  close(): void;
  /** The primary's end of the channel; `hello` is the first that the worker gets, with its queue and its board. */
  channel(hello: string, onEvent: OnEvent): Channel;
  /** What the worker's board says now. */
  readBoard(): BoardReading;
  /**
   * What the board's histograms say, one number after the other: milliseconds that connections have waited, and how many did up to
   * each bound; the same of turns of the event loop; and what a worker's `http` has.
   */
  readHistograms(): number[];
  /** Sends the board to a service manager's socket, with this text. To be called before `channel`. Returns 0 or a negative errno. */
  sendBoard(address: string, text: string): number;
}

/** What has come over a line. */
export interface Packet {
  /** What it says; nothing at the line's end. */
  text?: string;
  /** The descriptors that came along, close-on-exec; whoever receives them closes them. */
  fds: number[];
}

/** One end of a line. */
export interface PacketLine {
  /**
   * Sends a packet with duplicates of these descriptors (at most 16). Returns 0 or a negative errno: EAGAIN when the other side has
   * too much to read.
   */
  send(text: string, fds?: number[]): number;
  /** The next packet, or nothing when none waits. One without text is the end of the line. */
  receive(): Packet | null;
  /** Waits, in this call, until a packet has come, at most so many milliseconds. Only for a process that has nothing else to do. */
  wait(time: number): void;
  /** `onReadable()` is called when something waits, until all has been received. */
  listen(onReadable: (arg: unknown) => unknown): void;
  /** Doing it again does nothing. */
  close(): void;
}

/** What a proxy has said. */
export interface ProxyHeader {
  /** 1 or 2. */
  version: number;
  /** Whether it speaks for itself, as for a health check. */
  local: boolean;
  /** The client; nothing where it is not known. */
  source?: Address;
  /** What it has connected to. */
  destination?: Address;
  /** The types of the extensions. */
  types: number[];
  /** And their values. */
  values: Array<Buffer>;
}

/** What a header has besides addresses. */
export interface ProxyExtensions {
  /** Their types. */
  types: number[];
  /** And their values. */
  values: Array<Buffer>;
}

/**
 * Reads the headers of connections that come from trusted senders.
 *
 * `onMore(fd)` is called whenever more has come on a connection that is watched, or its end.
 */
export interface ProxyGate {
  /**
   * A connection from which nobody has read yet. Takes its header, and not a byte more, into `room`, which has 4096 bytes, and
   * returns how long it is: 0 where none is to be read, as its sender is not trusted; -1 when it is not whole yet, and nothing was
   * taken; -2 when there is none, or what is there makes no sense, or its peer has gone.
   */
  admit(fd: number, room: Buffer): number;
  /** The same of one that has said -1: whom it is from is known. */
  lookAgain(fd: number, room: Buffer): number;
  /** It is told once when something comes; then it may be forgotten as it is, as most headers come in one piece. Returns whether that can be. */
  watch(fd: number): boolean;
  /** The same of one that was told: now, and each time that more comes. */
  watchOn(fd: number): boolean;
  /** No longer. To be called before one of which nothing was told yet, or more would be, is closed or given to somebody else. */
  forget(fd: number): void;
}

/**
 * Where connections come from.
 *
 * `onConnection(fd, listener, left, said)` is called for each, and owns the descriptor from then on; `left` and `said` are as in
 * `passOn`. With
 * `fd` -1 it says that descriptors have run out, with -2 that the kernel has refused for another reason, and that `resume` is to be
 * called after a while.
 */
export interface ConnectionQueue {
  /**
   * Gives a connection back: its server has closed or, when `full`, has as many as it may have. With `false` as the
   * result `resume` is to be called after a while. `left` and `said` are what came with it.
   */
  giveBack(fd: number, listener: number, full: boolean, left?: number, said?: Buffer): boolean;
  /**
   * Passes a connection that was served here on to other workers, as this one is leaving; the descriptor stays open here.
   * `left`: 0 for one that is as good as fresh, otherwise 1 more than the milliseconds for which it may stay idle, or
   * 0xffffffff without a limit. `said`: its PROXY header, if one was read; longer than 512 bytes it cannot go along, and the connection
   * does not. Returns whether it went.
   */
  passOn(fd: number, listener: number, left: number, said?: Buffer): boolean;
  /** The server of this listener has room again. Returns as `giveBack` does. */
  available(listener: number): boolean;
  /**
   * Counts of connections that JavaScript keeps, a `Float64Array` on the board: those that began without having come from
   * here, and those that are over. Those that are given back are counted by themselves.
   */
  readonly counts: Float64Array;
  /**
   * A socket of the worker's own has brought a connection, with this descriptor. Returns with which connection from now on
   * that is to be told again; 0 when there is no room for more descriptors, and `resume` is to be called after a while.
   */
  accepted(fd: number): number;
  /** Tries again after descriptors had run out, or after something could not be sent. Returns as `giveBack` does. */
  resume(): boolean;
  /** Whether an open queue keeps the process alive. It does not at first. */
  setRef(referenced: boolean): void;
  /** Takes nothing any more. Doing it again does nothing. */
  close(): void;
}

/** What to bind: a port, or what `fd` is bound to. */
export interface Binding {
  /** A descriptor of this process that is a socket already. */
  fd?: number;
  /** A port, 0 for any that is free. */
  port?: number;
  /** A numeric address of IPv4 or IPv6 (with its scope, if any). */
  address?: string;
  /** UDP instead of TCP. */
  udp?: boolean;
  /** An IPv6 socket takes no IPv4 traffic. */
  ipv6Only?: boolean;
  /** A UDP address may be bound again. */
  reuseAddress?: boolean;
  /** Several sockets may be bound to the address, and the kernel distributes. */
  reusePort?: boolean;
  /** The length of the kernel's queue; 0 or less for Node's default. */
  backlog?: number;
  /** Whether connections are accepted once something has come on them, or a second later; as it is, where nothing is said. */
  deferAccept?: boolean;
}

/** An address as `server.address()` gives it. */
export interface Address {
  /** Numeric. */
  address: string;
  /** `IPv4` or `IPv6`. */
  family: string;
  /** The port. */
  port: number;
}

/** Where a socket is bound to. */
export interface SocketName {
  /** Numeric, of a TCP or UDP socket. */
  address?: string;
  /** Of a TCP or UDP socket. */
  port?: number;
  /** Of a Unix socket. */
  path?: string;
}

/** What a worker is made of. */
export interface WorkerSide {
  /** What the primary said first: JSON. */
  readonly hello: string;
  /** The channel; once only. */
  channel(onEvent: OnEvent): Channel;
  /**
   * When the queue has been opened: what is told of HTTP requests, a `Float64Array` on the board: 1 as soon as they are counted; requests, errors, milliseconds of
   * all responses, and how many took up to so long: 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, and longer.
   */
  readonly http: Float64Array;
  /** The connection queue; once only. */
  queue(onConnection: OnConnection): ConnectionQueue;
}

export interface Native {
  /** What decides which client gets which seat under `SCHED_STICKY`: 32 hexadecimal digits. */
  stickyKey(): string;
  /** Takes that of the primary before this one, so that clients keep their seats. Returns whether it was one, and in time. */
  adoptStickyKey(key: string): boolean;
  /**
   * Starts the thread. `onWarning(text)` is called when something happens that the user should know;
   * `onGivenUp(worker, reason)` when a worker gets nothing any more: what it says makes no sense or does not end, or its queue
   * does not work. Others have got what it had not taken; it is still to be removed.
   */
  Acceptor: new (onWarning: (text: string) => void, onGivenUp?: (worker: number, reason: string) => void) => Acceptor;
  /** Throws when descriptors have run out. */
  Link: new () => Link;
  /** Takes an end of a pair; the descriptor that was given is closed. It stays with this process alone. */
  PacketLine: new (fd: number) => PacketLine;
  /** The two ends of a new message channel, close-on-exec. Nothing when there is no room for one. */
  streamPair(): number[] | null;
  /** A new pair of ends, close-on-exec. Nothing when there is no room for one. */
  packetPair(): number[] | null;
  /** The version of the native part, which is the package's. */
  version(): string;
  /** Stands for all that the native part exports: files of another version do not go on with it. */
  interfaceVersion(): string;
  /** Sends one datagram to a service manager's socket, with duplicates of these descriptors. Returns 0 or a negative errno. */
  notify(address: string, text: string, fds?: number[]): number;
  /**
   * Ends this process so many seconds after its parent has died, even if its event loop hangs. Returns 0 or a negative
   * errno.
   */
  endAfterParent(seconds: number): number;
  /** Collects ended processes that are none of `children`. Returns how many, or a negative errno. */
  reapOrphans(children: number[]): number;
  /** Reads a header, as `admit` has found it; `null` when it is none, or has more behind it. */
  readProxyHeader(bytes: Buffer): ProxyHeader | null;
  /**
   * The addresses alone, as one text: family, client, its port, what it has connected to, that port. Empty where they are not known. Nearly
   * every program asks for them, and making objects takes several times as long as all else.
   */
  readProxyEnds(bytes: Buffer): string;
  /** The types and values of extensions, to the last byte; `null` when they are none. */
  readProxyExtensions(bytes: Buffer): ProxyExtensions | null;
  /** Throws for a text in `trusted` that is neither an address nor a network nor `unix`, and when descriptors have run out. */
  ProxyGate: new (trusted: Array<string>, onMore: (fd: number) => void) => ProxyGate;
  /** Binds without listening. Returns a descriptor that the caller must pass to `closeFd`, or a negative errno. */
  bindShared(binding: Binding): number;
  /** Which handle a descriptor needs: `tcp`, `pipe` or `udp`; `null` when it is none of them. */
  socketKind(fd: number): Kind | null;
  /** The name of a socket; `null` when it is none. */
  socketName(fd: number): SocketName | null;
  /** Whether it is a socket that listens. */
  isListening(fd: number): boolean;
  /** Whether it can be taken for a connection: a stream socket that does not listen. */
  isConnection(fd: number): boolean;
  /** A new socket of a kind (`tcp`, `pipe` or `udp`), to see what Node makes of it. Returns as `bindShared`. */
  newSocket(kind: Kind): number;
  /** Closes a descriptor that was given to JavaScript. */
  closeFd(fd: number): void;
  /** Closes a listening socket for all who have it: it stops listening. */
  retireSocket(fd: number): void;
  /**
   * Closes a descriptor that came from another process, on a thread of its own: closing it may take as long as that process
   * has arranged for.
   */
  closeForeign(fd: number): void;
  /** The part of this process's descriptors that one who is not trusted may make it keep open. */
  descriptorShare(): number;
  /** A duplicate of a descriptor, close-on-exec. Returns as `bindShared`. */
  duplicateFd(fd: number): number;
  /** A new pipe, close-on-exec: its end to read from, and its end to write to. Nothing when there is no room for one. */
  newPipe(): number[] | null;
  /** Takes the channel's descriptor, by its inherited number, and waits for the primary's first frame. */
  WorkerSide: new (fd: number) => WorkerSide;
}
