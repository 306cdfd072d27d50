'use strict';

const os = require('node:os');
const { KeepAliveClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

test('up: resolves when the new ones are ready', async () => {
  const service = await startService({ worker: pidServer });
  const before = await service.pids();
  await service.call('scale', 4);
  const after = await service.pids();
  expect(after.length).toBe(4);
  expect(after.slice(0, 2)).toEqual(before);
});

test('down: the surplus ones finish, their idle connections move, and it resolves when they have ended', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 3 } });
  const before = await service.pids();
  const clients = Array.from({ length: 30 }, () => new KeepAliveClient(service.port));
  await Promise.all(clients.map((client) => client.ask()));
  await service.call('scale', 1);
  expect(await service.pids()).toEqual(before.slice(0, 1));
  await waitForDeath(before.slice(1));
  const replies = await Promise.all(clients.map((client) => client.ask()));
  expect(replies.every(({ body }) => Number(body) === before[0])).toBe(true);
  expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
  expect(service.events('restart')).toEqual([]);
});

test("'max' is one per available core", async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  await service.call('scale', 'max');
  expect((await service.pids()).length).toBe(os.availableParallelism());
});

test('a bad count is refused, and nothing happens', async () => {
  const service = await startService({ worker: pidServer });
  const before = await service.pids();
  await expect(service.call('scale', 0)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_BAD_OPTION' });
  expect(await service.pids()).toEqual(before);
});

test('a worker that waits for its restart is not started any more', async () => {
  const service = await startService({ worker: pidServer, options: { restart: { delay: 1500 } } });
  const [, pid] = await service.pids();
  process.kill(pid, 'SIGKILL');
  await service.event('restart');
  await service.call('scale', 1);
  await service.call('scale', 2);
  const { workers } = await service.call('status');
  expect(workers.map(({ seat }) => seat)).toEqual([0, 1]);
  expect(workers.every(({ state }) => state === 'ready')).toBe(true);
});

test('a new one that fails: it rejects, and the worker is started again', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  service.deploy(() => process.exit(1));
  await expect(service.call('scale', 2)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_NOT_READY' });
  service.deploy(pidServer);
  await service.waitForStatus(({ workers }) => workers.length === 2 && workers.every(({ state }) => state === 'ready'));
});

test('down while the service starts: it is ready without the others', async () => {
  function slow() {
    const http = require('node:http');
    const listen = () => http.createServer((request, response) => response.end()).listen(0, '127.0.0.1');
    if (require('node:cluster').worker.id === 1) listen();
    else setTimeout(listen, 30_000);
  }
  const service = await startService({ worker: slow, ready: false, options: { readyTimeout: 60_000 } });
  await service.event('listening');
  await service.call('scale', 1);
  await service.event('ready');
});
