'use strict';

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { startGreeter } = require('../helpers/greeter');
const { openDescriptors } = require('../helpers/proc');
const { startScript, waitFor } = require('../helpers/run');

const BACKLOG = 100;

/**
 * @param {number} port
 * @returns {string[]} the listening sockets of all processes on the port, as in `openDescriptors`; see proc_net_tcp(5)
 */
function listeningSockets(port) {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['tcp', 'tcp6'].flatMap((table) => {
    const rows = fs.readFileSync(`/proc/net/${table}`, 'utf8').trim().split('\n').slice(1);
    const cells = rows.map((row) => row.trim().split(/\s+/));
    return cells.filter(([, address, , state]) => address.endsWith(local) && state === '0A').map((row) => `socket:[${row[9]}]`);
  });
}

/**
 * @param {import('../helpers/greeter').Greeter} greeter
 * @param {number} pid
 * @returns {string} the listening socket that the worker has as its own
 */
function ownSocket({ port }, pid) {
  const descriptors = openDescriptors(pid);
  const own = listeningSockets(port).filter((socket) => descriptors.includes(socket));
  expect(own).toHaveLength(1);
  return own[0];
}

/**
 * @param {import('../helpers/greeter').Greeter} greeter
 * @param {number} count
 */
const begin = (greeter, count) => Array.from({ length: count }, () => greeter.begin());

test('each worker has a listening socket of its own, and all serve', async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '4' });
  expect(new Set(greeter.workers.map((pid) => ownSocket(greeter, pid))).size).toBe(4);
  expect(listeningSockets(greeter.port)).toHaveLength(4);
  // What one that waits for a processor has not accepted in time the others serve: then it is the next ones that it serves.
  const serving = new Set();
  await waitFor(async () => {
    const connections = begin(greeter, BACKLOG);
    await Promise.all(connections.map((connection) => connection.greeted()));
    for (const { pid } of connections) serving.add(pid);
    return serving.size === 4;
  });
  expect(serving).toEqual(new Set(greeter.workers));
});

test("a killed worker's backlog is served by the others", async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '3' });
  const [dead] = greeter.workers;
  process.kill(dead, 'SIGSTOP');
  const connections = begin(greeter, BACKLOG);
  await greeter.kill(dead);
  await Promise.all(connections.map((connection) => connection.greeted()));
  expect(connections.filter(({ pid }) => pid === dead)).toEqual([]);
  // What comes to its socket from now on is served, too.
  const later = begin(greeter, BACKLOG);
  await Promise.all(later.map((connection) => connection.greeted()));
});

test("a stuck worker's backlog is served by the others, and it goes on afterwards", async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '3' });
  const [stuck] = greeter.workers;
  process.kill(stuck, 'SIGSTOP');
  for (let round = 0; round < 3; round++) {
    const connections = begin(greeter, BACKLOG);
    await Promise.all(connections.map((connection) => connection.greeted()));
    expect(connections.filter(({ pid }) => pid === stuck)).toEqual([]);
  }
  process.kill(stuck, 'SIGCONT');
  await waitFor(async () => (await greeter.connect()).pid === stuck);
});

test('a worker that blocks delays nobody but whom it has accepted', async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '2' });
  const busy = await greeter.connect();
  await busy.block(1500);
  const began = performance.now();
  const connections = begin(greeter, BACKLOG);
  await Promise.all(connections.map((connection) => connection.greeted()));
  expect(performance.now() - began).toBeLessThan(1000);
  expect(connections.filter(({ pid }) => pid === busy.pid)).toEqual([]);
});

test('when all are stuck their backlogs wait', async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '2' });
  for (const pid of greeter.workers) process.kill(pid, 'SIGSTOP');
  const connections = begin(greeter, BACKLOG);
  await sleep(200);
  expect(connections.filter(({ pid }) => pid !== 0)).toEqual([]);
  for (const pid of greeter.workers) process.kill(pid, 'SIGCONT');
  await Promise.all(connections.map((connection) => connection.greeted()));
});

test("the dead one's socket goes to its replacement", async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '2', REFORK: '1' });
  const before = listeningSockets(greeter.port);
  const [dead, other] = greeter.workers;
  const socket = ownSocket(greeter, dead);
  await greeter.kill(dead);
  await greeter.ready(2);
  const replacement = greeter.workers.find((pid) => pid !== other);
  expect(ownSocket(greeter, Number(replacement))).toBe(socket);
  expect(listeningSockets(greeter.port)).toEqual(before);
});

test('what comes while every worker is dead waits for the next', async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '2', REFORK: '1' });
  const dead = greeter.workers;
  for (const pid of dead) process.kill(pid, 'SIGSTOP');
  const connections = begin(greeter, BACKLOG);
  await Promise.all(dead.map((pid) => greeter.kill(pid)));
  await Promise.all(connections.map((connection) => connection.greeted()));
  expect(connections.filter(({ pid }) => dead.includes(pid))).toEqual([]);
});

test('maxConnections: whom a worker cannot take goes to another, and waits when there is none', async () => {
  const greeter = await startGreeter('reuseport', { WORKERS: '3', MAX_CONNECTIONS: '2' });
  const connections = begin(greeter, 12);
  await waitFor(() => connections.filter(({ pid }) => pid !== 0).length === 6);
  for (const pid of greeter.workers) expect(connections.filter((connection) => connection.pid === pid)).toHaveLength(2);
  await sleep(100);
  expect(connections.filter(({ pid }) => pid !== 0)).toHaveLength(6);
  for (const connection of connections.filter(({ pid }) => pid !== 0)) await connection.end();
  await Promise.all(connections.map((connection) => connection.greeted()));
});

test('a port that somebody else has is EADDRINUSE, and ours is for him', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  const env = { NODE_CLUSTER_SCHED_POLICY: 'reuseport', PORT: String(port), WORKERS: '1' };
  const refused = startScript('__test__/fixtures/greeter.js', { env });
  await refused.waitForLine(/^error EADDRINUSE$/);
  server.close();
  const greeter = await startGreeter('reuseport', { PORT: String(port) });
  const late = net.createServer().listen(port, '127.0.0.1');
  const [error] = await once(late, 'error');
  expect(error.code).toBe('EADDRINUSE');
  expect((await greeter.connect()).pid).toBeGreaterThan(0);
});

test('the port is free when all have left', async () => {
  const greeter = await startGreeter('reuseport');
  await greeter.script.stop();
  await waitFor(() => listeningSockets(greeter.port).length === 0);
});

test('Unix sockets are accepted from by the primary', async () => {
  const socket = path.join(os.tmpdir(), `rcluster-reuseport-${process.pid}.sock`);
  const greeter = await startGreeter('reuseport', { SOCKET: socket });
  const pids = [];
  for (let count = 0; count < 4; count++) pids.push((await greeter.connect({ path: socket, port: undefined })).pid);
  expect(pids).toEqual([pids[0], pids[1], pids[0], pids[1]]);
  expect(pids[0]).not.toBe(pids[1]);
});
