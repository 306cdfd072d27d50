'use strict';

const { KeepAliveClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

test('a reload replaces every worker, and reports how it went', async () => {
  const service = await startService({ worker: pidServer });
  const before = await service.pids();
  const report = await service.call('reload');
  const after = await service.pids();
  expect(report).toEqual({ time: expect.any(Number), workers: expect.any(Array) });
  expect(report.workers.map(({ seat, oldPid, newPid }) => ({ seat, oldPid, newPid }))).toEqual(
    [0, 1].map((index) => ({ seat: index, oldPid: before[index], newPid: after[index] })),
  );
  for (const worker of report.workers) {
    expect(worker).toMatchObject({ moved: 0, finished: 0, cut: 0, readyTime: expect.any(Number), drainTime: expect.any(Number) });
  }
  expect(service.events('reload')).toEqual([report]);
  expect(new Set([...before, ...after]).size).toBe(4);
  await waitForDeath(before);
  expect(after).toContain(Number((await service.get()).body));
});

test('idle connections move, and their clients notice nothing', async () => {
  const service = await startService({ worker: pidServer });
  const clients = Array.from({ length: 100 }, () => new KeepAliveClient(service.port));
  await Promise.all(clients.map((client) => client.ask()));
  const report = await service.call('reload');
  const after = await service.pids();
  const replies = await Promise.all(clients.map((client) => client.ask()));
  expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
  expect(clients.every(({ ports }) => ports.size === 1)).toBe(true);
  expect(replies.every(({ body }) => after.includes(Number(body)))).toBe(true);
  expect(report.workers.reduce((sum, { moved }) => sum + moved, 0)).toBeGreaterThanOrEqual(100);
});
