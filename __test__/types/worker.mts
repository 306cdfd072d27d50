// The members of a worker and of its events.

import * as child from 'node:child_process';
import * as dgram from 'node:dgram';
import * as http from 'node:http';
import * as net from 'node:net';
import cluster, { type Address, type Worker } from 'rcluster';
import { expect, type Same } from './expect.mjs';

const worker: Worker = cluster.fork();

expect<Same<typeof worker.id, number>>();
expect<Same<typeof worker.process, child.ChildProcess>>();
expect<Same<typeof worker.exitedAfterDisconnect, boolean>>();
expect<Same<ReturnType<typeof worker.isConnected>, boolean>>();
expect<Same<ReturnType<typeof worker.isDead>, boolean>>();
const pid: number | undefined = worker.process.pid;

// send, in its four forms.
const done = (error: Error | null): void => void error;
const sent: boolean = worker.send('text');
worker.send({ an: 'object' }, done);
worker.send(1, new net.Socket());
worker.send(true, net.createServer(), done);
worker.send('server', http.createServer());
worker.send('udp', dgram.createSocket('udp4'), {});
worker.send('socket', new net.Socket(), { keepOpen: true }, done);
worker.send(10n);
// @ts-expect-error: a message is needed
worker.send();
// @ts-expect-error: functions cannot be sent
worker.send(undefined);
// @ts-expect-error: a file is no handle
worker.send('file', { fd: 3 });
// @ts-expect-error: there is no such option
worker.send('socket', new net.Socket(), { keepAlive: true });
// @ts-expect-error: the callback's argument is an error or null
worker.send('text', (count: number) => count);

// Ending a worker.
worker.kill();
worker.kill('SIGINT');
worker.destroy('SIGKILL');
const itself: Worker = worker.disconnect();
// @ts-expect-error: a signal's name, not its number
worker.kill(9);
// @ts-expect-error: disconnect takes nothing
worker.disconnect(done);

// Events.
worker.on('disconnect', () => {});
worker.once('error', (error) => expect<Same<typeof error, Error>>());
worker.addListener('exit', (code, signal) => expect<Same<[typeof code, typeof signal], [number, string]>>());
worker.prependListener('listening', (address) => expect<Same<typeof address, Address>>());
worker.prependOnceListener('message', (message, handle) =>
  expect<Same<[typeof message, typeof handle], [any, child.SendHandle]>>(),
);
worker.on('message', (message: string, socket: net.Socket) => socket.end(message));
worker.on('online', () => {}).off('online', () => {});
worker.on(Symbol('of the application'), () => {});
const heard: boolean = worker.emit('exit', 0, '');
worker.emit('message', { any: 'thing' }, undefined);

// A worker is an EventEmitter, and its class can be derived from.
const emitter: NodeJS.EventEmitter = worker;
class Special extends cluster.Worker {
  override kill(signal?: string): void {
    super.kill(signal);
  }
}
const special: Worker = new Special();
// @ts-expect-error: the state is a string
new cluster.Worker({ state: 1 });

void [pid, sent, itself, heard, emitter, special];

// Whether a connection may go on in another worker.
const socket = new net.Socket();
socket.unmovable = true;
socket.unmovable = undefined;
// @ts-expect-error: yes or no
socket.unmovable = 'maybe';
