'use strict';

const net = require('node:net');
const { once } = require('node:events');

const { pidServer, startService } = require('../helpers/service');

test('what each worker is doing', async () => {
  const service = await startService({ worker: pidServer });
  await Promise.all(Array.from({ length: 10 }, () => service.get()));
  const slow = service.get('/slow?1000');
  // The slow one is with a worker, and no longer on its way to one.
  const isServed = ({ workers: all }) => all.every(({ connections }) => connections.queued === 0)
    && all.reduce((sum, { connections }) => sum + connections.total, 0) === 11;
  await service.waitForStatus(isServed);
  const { state, workers, leaving } = await service.call('status');
  expect({ state, leaving }).toEqual({ state: 'running', leaving: [] });
  expect(workers.map(({ seat, restarts }) => ({ seat, restarts }))).toEqual([{ seat: 0, restarts: 0 }, { seat: 1, restarts: 0 }]);
  expect(workers.reduce((sum, { connections }) => sum + connections.total, 0)).toBe(11);
  for (const worker of workers) {
    expect(worker).toEqual({
      seat: expect.any(Number),
      pid: expect.any(Number),
      id: expect.any(Number),
      state: 'ready',
      uptime: expect.any(Number),
      restarts: 0,
      connections: { active: expect.any(Number), queued: 0, total: expect.any(Number) },
      loop: { utilization: expect.any(Number), longestTurn: expect.any(Number), turns: expect.any(Number), delay: expect.any(Object) },
      waiting: expect.objectContaining({ count: worker.connections.total }),
      memory: expect.any(Number),
      cpu: expect.any(Number),
    });
    expect(worker.memory).toBeGreaterThan(20 * 2 ** 20);
    expect(worker.memory).toBeLessThan(500 * 2 ** 20);
    expect(worker.cpu).toBeGreaterThan(10);
    expect(worker.cpu).toBeLessThan(worker.uptime * 4);
    // All of it, where it had no processor for long.
    expect(worker.loop.utilization).toBeLessThanOrEqual(1);
    expect(worker.loop.longestTurn).toBeGreaterThan(0);
  }
  await slow;
});

test('those that are leaving', async () => {
  const service = await startService({ worker: pidServer });
  const slow = service.get('/slow?2000');
  const { pid } = await service.waitForStatus(({ workers }) => workers.find(({ connections }) => connections.active === 1));
  await service.retire(pid);
  const { leaving, workers } = await service.call('status');
  expect(leaving).toEqual([{ pid, uptime: expect.any(Number), connections: 1 }]);
  expect(workers.map((worker) => worker.pid)).not.toContain(pid);
  expect((await slow).body).toBe(`${pid}`);
});

test('the options in force', async () => {
  const service = await startService({ worker: pidServer, options: { maxMemory: '300M', policy: 'rr' } });
  const options = await service.run(({ supervisor }) => supervisor.options);
  expect(options).toMatchObject({ workers: 2, maxMemory: 300 * 2 ** 20, policy: 2, drainTimeout: 5000, crash: 'exit' });
});

/** Ends some connections as they come, and the one before with some. */
function restlessServer() {
  let count = 0;
  let last;
  const server = require('node:net').createServer((socket) => socket.on('error', () => {}).resume());
  server.on('connection', (socket) => {
    count++;
    if (count % 3 === 0) socket.destroy();
    if (count % 4 === 0) last.destroy();
    last = socket;
  });
  server.listen(0, '127.0.0.1');
}

test.each(['rr', 'none', 'reuseport'])('connections are counted under %s, however they end', async (policy) => {
  const service = await startService({ worker: restlessServer, options: { policy, workers: 1 } });
  const clients = [];
  for (let i = 0; i < 24; i++) {
    const client = net.connect(service.port, '127.0.0.1').on('error', () => {});
    clients.push(client.resume());
    await once(client, 'connect');
  }
  const counted = ({ workers: [{ connections }] }) => connections.total === 24;
  await service.waitForStatus(counted);
  // 8 are destroyed as they come, and 6 by their successors, of which two had been destroyed already.
  await service.waitForConnections(24 - 8 - 4);
  for (const client of clients) client.destroy();
  await service.waitForConnections(0);
  const { workers: [{ connections }] } = await service.call('status');
  expect(connections).toEqual({ active: 0, queued: 0, total: 24 });
});
