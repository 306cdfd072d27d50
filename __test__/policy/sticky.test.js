'use strict';

const os = require('node:os');
const path = require('node:path');
const { startGreeter } = require('../helpers/greeter');

const CLIENTS = Array.from({ length: 50 }, (_, index) => ({ localAddress: `127.0.0.${index + 1}` }));

/**
 * @param {import('../helpers/greeter').Greeter} greeter
 * @param {object[]} clients options for `connect`
 * @returns {Promise<number[]>} the worker of each
 */
async function workersOf(greeter, clients) {
  const connections = await Promise.all(clients.map((client) => greeter.connect(client)));
  for (const { socket } of connections) socket.destroy();
  return connections.map(({ pid }) => pid);
}

test('an address has one worker, over IPv4 and IPv6', async () => {
  const greeter = await startGreeter('sticky', { WORKERS: '4', HOST: '::' });
  const clients = [...CLIENTS, { host: '::1' }];
  const first = await workersOf(greeter, clients);
  expect(new Set(first).size).toBe(4);
  for (let round = 0; round < 5; round++) expect(await workersOf(greeter, clients)).toEqual(first);
});

test('a dead worker moves only its own clients, and its replacement gets exactly them back', async () => {
  const greeter = await startGreeter('sticky', { WORKERS: '4' });
  const before = await workersOf(greeter, CLIENTS);
  const dead = before[0];
  await greeter.kill(dead);
  const meanwhile = await workersOf(greeter, CLIENTS);
  expect(meanwhile).not.toContain(dead);
  expect(meanwhile.filter((pid, index) => before[index] !== dead && pid !== before[index])).toEqual([]);

  const again = await startGreeter('sticky', { WORKERS: '4', REFORK: '1' });
  const first = await workersOf(again, CLIENTS);
  const others = new Set(again.workers.filter((pid) => pid !== first[0]));
  await again.kill(first[0]);
  await again.ready(4);
  const [replacement] = again.workers.filter((pid) => !others.has(pid));
  expect(await workersOf(again, CLIENTS)).toEqual(first.map((pid) => (pid === first[0] ? replacement : pid)));
});

test('who belongs to a blocked worker waits for it, and nobody else waits', async () => {
  const greeter = await startGreeter('sticky', { WORKERS: '2' });
  const before = await workersOf(greeter, CLIENTS);
  const busy = await greeter.connect(CLIENTS[0]);
  await busy.block(500);
  const began = performance.now();
  const connections = [...CLIENTS, ...CLIENTS, ...CLIENTS].map((client) => greeter.begin(client));
  const belongs = (/** @type {number} */ index) => before[index % CLIENTS.length] === busy.pid;
  await Promise.all(connections.filter((_, index) => !belongs(index)).map((connection) => connection.greeted()));
  expect(performance.now() - began).toBeLessThan(400);
  expect(connections.filter(({ pid }, index) => belongs(index) && pid !== 0)).toEqual([]);
  await Promise.all(connections.map((connection) => connection.greeted()));
  expect(connections.map(({ pid }) => pid)).toEqual([...before, ...before, ...before]);
});

test('who waits for a worker that dies is served by another', async () => {
  const greeter = await startGreeter('sticky', { WORKERS: '3' });
  const before = await workersOf(greeter, CLIENTS);
  const [pid] = before;
  const other = CLIENTS[before.findIndex((worker) => worker !== pid)];
  process.kill(pid, 'SIGSTOP');
  const waiting = Array.from({ length: 200 }, () => greeter.begin(CLIENTS[0]));
  expect((await greeter.connect(other)).pid).not.toBe(pid);
  expect(waiting.filter((connection) => connection.pid !== 0)).toEqual([]);
  await greeter.kill(pid);
  await Promise.all(waiting.map((connection) => connection.greeted()));
  expect(waiting.filter((connection) => connection.pid === pid)).toEqual([]);
});

test('a server that is full is waited for as well', async () => {
  const greeter = await startGreeter('sticky', { WORKERS: '3', MAX_CONNECTIONS: '2' });
  const [first, second] = [await greeter.connect(CLIENTS[0]), await greeter.connect(CLIENTS[0])];
  const third = greeter.begin(CLIENTS[0]);
  await first.end();
  await third.greeted();
  expect([second.pid, third.pid]).toEqual([first.pid, first.pid]);
});

test('without an address the workers take turns', async () => {
  const socket = path.join(os.tmpdir(), `rcluster-sticky-${process.pid}.sock`);
  const greeter = await startGreeter('sticky', { SOCKET: socket });
  const pids = [];
  for (let count = 0; count < 4; count++) pids.push((await greeter.connect({ path: socket, port: undefined })).pid);
  expect(pids[0]).not.toBe(pids[1]);
  expect([pids[2], pids[3]]).toEqual([pids[0], pids[1]]);
});
