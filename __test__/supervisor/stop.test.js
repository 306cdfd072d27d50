'use strict';

const { KeepAliveClient } = require('../helpers/client');
const { waitFor, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** The primary ends with the supervisor, so that what a call returns may never arrive. */
const stop = (service, method = 'stop') => service.call(method).catch(() => {});

test('what is under way is finished, and told to come back elsewhere', async () => {
  const service = await startService({ worker: pidServer });
  const pids = await service.pids();
  const client = new KeepAliveClient(service.port);
  await client.ask();
  const reply = client.ask('/slow?1000');
  await service.waitForStatus(({ workers }) => workers.some(({ connections }) => connections.active === 1));
  void stop(service);
  expect(await reply).toMatchObject({ status: 200, headers: { connection: 'close' } });
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  expect(service.told().map(([event]) => event).slice(-2)).toEqual(['stopping', 'stopped']);
  expect(service.events('restart')).toEqual([]);
  await waitForDeath(pids);
});

test('nobody listens any more at once', async () => {
  const service = await startService({ worker: pidServer });
  const slow = service.get('/slow?1500');
  await service.waitForStatus(({ workers }) => workers.some(({ connections }) => connections.active === 1));
  const { port } = service;
  void stop(service);
  await service.event('stopping');
  await service.waitForStatus(({ workers }) => workers.every(({ state }) => state !== 'ready'));
  const again = require('node:net').createServer();
  await new Promise((resolve, reject) => {
    again.once('error', reject);
    again.listen(port, '127.0.0.1', resolve);
  });
  again.close();
  expect((await slow).status).toBe(200);
});

test('an idle connection is kept for a second, and its next response says "Connection: close"', async () => {
  const service = await startService({ worker: pidServer });
  const client = new KeepAliveClient(service.port);
  await client.ask();
  void stop(service);
  await service.event('stopping');
  await service.waitForStatus(({ workers }) => workers.every(({ state }) => state !== 'ready'));
  // The worker hears of it a moment after the primary has decided.
  await waitFor(async () => {
    const { status, headers } = await client.ask();
    expect(status).toBe(200);
    return headers.connection === 'close';
  });
  expect(client.ports.size).toBe(1);
  await service.script.waitForExit();
});

test('connections that wait to be taken are served', async () => {
  function slow() {
    // Each request keeps the whole worker busy.
    const server = require('node:http').createServer((request, response) => {
      for (const end = Date.now() + 30; Date.now() < end;);
      response.end('served');
    });
    server.listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: slow });
  const replies = Array.from({ length: 40 }, () => service.get('/'));
  // All of them are connected, and most are not served yet.
  await Promise.race(replies);
  void stop(service);
  expect((await Promise.all(replies)).map(({ body }) => body)).toEqual(Array(40).fill('served'));
  await service.script.waitForExit();
});

test('what is not finished in time is cut', async () => {
  const service = await startService({ worker: pidServer, options: { drainTimeout: 500 } });
  const pids = await service.pids();
  const lost = service.get('/slow?60000').catch((error) => error.code);
  await service.waitForStatus(({ workers }) => workers.some(({ connections }) => connections.active === 1));
  void stop(service);
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  expect(await lost).toBe('ECONNRESET');
  await waitForDeath(pids);
});

test('kill ends everything at once', async () => {
  const service = await startService({ worker: pidServer, options: { drainTimeout: 60_000 } });
  const pids = await service.pids();
  const lost = service.get('/slow?60000').catch((error) => error.code);
  await service.waitForStatus(({ workers }) => workers.some(({ connections }) => connections.active === 1));
  void stop(service, 'kill');
  await service.script.waitForExit();
  expect(await lost).toBe('ECONNRESET');
  await waitForDeath(pids);
});

test('kill ends a stop that takes too long, and workers that had left before', async () => {
  const service = await startService({ worker: pidServer, options: { drainTimeout: 60_000 } });
  const lost = service.get('/slow?60000').catch((error) => error.code);
  const status = await service.waitForStatus(
    ({ workers }) => workers.find(({ connections }) => connections.active === 1),
  );
  await service.retire(status.pid);
  void stop(service);
  await service.event('stopping');
  void stop(service, 'kill');
  await service.script.waitForExit();
  expect(await lost).toBe('ECONNRESET');
});

test('workers that are starting end, too', async () => {
  const service = await startService({ worker: () => void setInterval(() => {}, 1000), ready: false });
  const { workers } = await service.call('status');
  expect(workers.map(({ state }) => state)).toEqual(['starting', 'starting']);
  void stop(service);
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  await waitForDeath(workers.map(({ pid }) => pid));
});

test('a worker that waits for its restart is not started', async () => {
  const service = await startService({ worker: pidServer, options: { restart: { delay: 60_000 } } });
  process.kill((await service.pids())[0], 'SIGKILL');
  await service.event('restart');
  void stop(service);
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
});

test('whenReady rejects when it was stopped before', async () => {
  const service = await startService({ worker: () => void setInterval(() => {}, 1000), ready: false });
  const code = await service.run(({ supervisor }) => {
    supervisor.removeAllListeners('stopped');
    void supervisor.stop();
    return supervisor.whenReady().catch((error) => error.code);
  });
  expect(code).toBe('ERR_RCLUSTER_STOPPED');
});

test('cluster.disconnect() stops the supervisor, and calls back', async () => {
  const service = await startService({ worker: pidServer });
  const outcome = await service.run(({ cluster, supervisor }) => {
    supervisor.removeAllListeners('stopped');
    return new Promise((resolve) => {
      cluster.disconnect(() => resolve([supervisor.status().state, Object.keys(cluster.workers).length]));
    });
  });
  expect(outcome).toEqual(['stopped', 0]);
});

test('there is one supervisor at a time', async () => {
  const service = await startService({ worker: pidServer });
  const outcome = await service.run(async ({ cluster, supervisor }) => {
    supervisor.removeAllListeners('stopped');
    const { exec } = cluster.settings;
    const again = () => {
      try {
        return cluster.supervise({ exec, args: [], workers: 1 });
      } catch (error) {
        return error.code;
      }
    };
    const refused = again();
    await supervisor.stop();
    const second = again();
    await second.whenReady();
    const { length } = second.status().workers;
    await second.stop();
    return [refused, length];
  });
  expect(outcome).toEqual(['ERR_RCLUSTER_SUPERVISED', 1]);
});
