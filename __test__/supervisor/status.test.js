'use strict';

const { pidServer, startService } = require('../helpers/service');

test('what each worker is doing', async () => {
  const service = await startService({ worker: pidServer });
  await Promise.all(Array.from({ length: 10 }, () => service.get()));
  const slow = service.get('/slow?1000');
  const { state, workers, leaving } = await service.waitForConnections(1).then(() => service.call('status'));
  expect({ state, leaving }).toEqual({ state: 'running', leaving: [] });
  expect(workers.map(({ seat, restarts }) => ({ seat, restarts }))).toEqual([{ seat: 1, restarts: 0 }, { seat: 2, restarts: 0 }]);
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
      loop: { utilization: expect.any(Number), longestTurn: expect.any(Number) },
      memory: expect.any(Number),
      cpu: expect.any(Number),
    });
    expect(worker.memory).toBeGreaterThan(20 * 2 ** 20);
    expect(worker.memory).toBeLessThan(500 * 2 ** 20);
    expect(worker.cpu).toBeGreaterThan(10);
    expect(worker.cpu).toBeLessThan(worker.uptime * 4);
    expect(worker.loop.utilization).toBeLessThan(1);
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
