// What the native part exports: see src/js/, where each member is described.

export type Event = number;
export type OnEvent = (kind: Event, payload: string | Buffer | number, fd: number) => void;

export interface Channel {
  resume(): void;
  pause(): void;
  shutDown(): void;
  endReading(): boolean;
  pushText(kind: number, text: string, length: number, fd: number): number;
  pushBytes(kind: number, bytes: Buffer, fd: number): number;
  writeText(kind: number, text: string, length: number): number;
  flush(): number;
  readonly stalled: boolean;
  flushBlocking(milliseconds: number): number;
  readonly queued: number;
  readonly pushed: number;
  readonly fd: number;
  setRef(referenced: boolean): void;
  close(): void;
}

export interface BoardReading {
  taken: number;
  active: number;
  total: number;
  queued: number;
  turns: number;
  runningFor: number;
  utilization: number;
  longestTurn: number;
}

export interface Link {
  readonly workerFd: number;
  spawned(): void;
  close(): void;
  channel(hello: string, onEvent: OnEvent): Channel;
  readBoard(): BoardReading;
}

export interface Binding {
  fd?: number;
  port?: number;
  address?: string;
  udp?: boolean;
  ipv6Only?: boolean;
  reuseAddress?: boolean;
  reusePort?: boolean;
  backlog?: number;
}

export interface Address {
  address: string;
  family: string;
  port: number;
}

export interface SocketName {
  address?: string;
  port?: number;
  path?: string;
}

export interface Acceptor {
  addWorker(link: Link): number;
  removeWorker(worker: number): number;
  listen(binding: Binding, policy: number): number;
  ownSocket(listener: number, worker: number, backlog: number): number;
  disown(listener: number, worker: number): void;
  closeListener(listener: number): void;
  finishListener(listener: number): void;
  isFinishing(): boolean;
  address(listener: number): Address | null;
  listenerFd(listener: number): number;
  addSocket(listener: number, fd: number): number;
  addMember(listener: number, worker: number): void;
  removeMember(listener: number, worker: number): number;
  succeed(old: number, heir: number): void;
  nudge(worker: number): void;
}

export interface ConnectionQueue {
  giveBack(fd: number, listener: number, full: boolean, left?: number): boolean;
  passOn(fd: number, listener: number, left: number): boolean;
  available(listener: number): boolean;
  readonly counts: Float64Array;
  accepted(fd: number): number;
  resume(): boolean;
  setRef(referenced: boolean): void;
  close(): void;
}

export interface WorkerSide {
  readonly hello: string;
  channel(onEvent: OnEvent): Channel;
  queue(onConnection: (fd: number, listener: number, left: number) => void): ConnectionQueue;
}

export interface Native {
  Link: new () => Link;
  Acceptor: new (
    onWarning: (text: string) => void,
    onGivenUp?: (worker: number, reason: string) => void,
  ) => Acceptor;
  WorkerSide: new (fd: number) => WorkerSide;
  version(): string;
  bindShared(binding: Binding): number;
  socketName(fd: number): SocketName | null;
  socketKind(fd: number): 'tcp' | 'pipe' | 'udp' | null;
  isListening(fd: number): boolean;
  isConnection(fd: number): boolean;
  newSocket(kind: 'tcp' | 'pipe' | 'udp'): number;
  notify(address: string, text: string, fds?: number[]): number;
  endAfterParent(seconds: number): number;
  reapOrphans(children: number[]): number;
  closeFd(fd: number): void;
  closeForeign(fd: number): void;
  retireSocket(fd: number): void;
  duplicateFd(fd: number): number;
  descriptorShare(): number;
}
