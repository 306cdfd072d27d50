'use strict';

// `worker.disconnect()` of a supervised worker, from either side: replaced, and nothing lost.

const { KeepAliveClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

test('from the primary: another one takes over first', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const client = new KeepAliveClient(service.port);
  const pid = Number((await client.ask()).body);
  await service.retire(pid);
  const { body } = await client.ask();
  expect(Number(body)).not.toBe(pid);
  expect(client.closed).toBe(0);
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  expect(service.events('restart')).toEqual([]);
});

test('from the worker', async () => {
  function leaves() {
    const cluster = require('node:cluster');
    const http = require('node:http');
    http
      .createServer((request, response) => {
        if (request.url === '/leave') cluster.worker.disconnect();
        response.end(`${process.pid}`);
      })
      .listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: leaves, options: { workers: 1 } });
  const client = new KeepAliveClient(service.port);
  const pid = Number((await client.ask('/leave')).body);
  await waitForDeath([pid]);
  expect(Number((await client.ask()).body)).not.toBe(pid);
  expect(client.closed).toBe(0);
  expect(service.events('restart')).toEqual([]);
});

test('when no other one can be started, it stays', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const [pid] = await service.pids();
  service.deploy(() => process.exit(1));
  const disconnect = () => service.run(({ cluster }) => void Object.values(cluster.workers)[0].disconnect());
  await disconnect();
  expect(await service.event('restart-failed')).toMatchObject({ code: 'ERR_RCLUSTER_NOT_READY' });
  expect((await service.get()).body).toBe(`${pid}`);
  service.deploy(pidServer);
  await disconnect();
  await service.exitOf(pid);
});

test('a worker that is not supervised disconnects as always', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const code = await service.run(({ cluster }) => {
    const worker = cluster.fork();
    return new Promise((resolve) => {
      worker.once('listening', () => worker.disconnect());
      worker.once('exit', resolve);
    });
  });
  expect(code).toBe(0);
  expect((await service.call('status')).workers.length).toBe(1);
});

test('process.disconnect() in a worker ends it, and it is started again', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const [pid] = await service.pids();
  await service.run(({ cluster }) => void Object.values(cluster.workers)[0].process.disconnect());
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  await service.event('restart');
});
