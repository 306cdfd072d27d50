'use strict';

const { freePort } = require('../helpers/free_port');
const { testUnless } = require('../helpers/needs');
const { cachedNodes } = require('../helpers/nodes');
const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** What `whenReady` says. */
const whenReady = (service) => service.call('whenReady').then(() => 'ready', (error) => error);

test('listening: when a server listens', async () => {
  function late() {
    setTimeout(() => require('node:http').createServer((request, response) => response.end()).listen(0, '127.0.0.1'), 300);
  }
  const service = await startService({ worker: late, ready: false });
  const { workers } = await service.call('status');
  expect(workers.map(({ state }) => state)).toEqual(['starting', 'starting']);
  expect(await whenReady(service)).toBe('ready');
  expect(service.events('listening').length).toBe(2);
  expect(service.events('ready').length).toBe(1);
});

test('listening: a server with a socket of its own counts', async () => {
  function exclusive() {
    require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true });
  }
  const service = await startService({ worker: exclusive, options: { readyTimeout: 20_000 } });
  expect(service.events('listening')).toEqual([]);
  expect(service.events('restart')).toEqual([]);
});

/** One that knows `reusePort`. */
const [reuses] = Number(process.versions.node.split('.')[0]) >= 24 ? [process.execPath] : cachedNodes([24, 26]);

testUnless(!reuses && 'no Node 24 or newer is in the cache')('listening: a server with reusePort counts, and is replaced on the same port', async () => {
  function reusing() {
    const server = require('node:http').createServer((request, response) => response.end(`${process.pid}`));
    server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', reusePort: true });
  }
  const port = await freePort();
  const service = await startService({ worker: reusing, env: { PORT: `${port}` }, node: reuses });
  const before = await service.pids();
  await service.call('reload');
  await waitForDeath(before);
});

test('listening: a UDP socket counts', async () => {
  function udp() {
    require('node:dgram').createSocket('udp4').bind(0, '127.0.0.1');
  }
  await startService({ worker: udp, options: { readyTimeout: 20_000 } });
});

test('listening: where others have listened, one that does not has failed', async () => {
  const service = await startService({ worker: pidServer, options: { readyTimeout: 3000 } });
  service.deploy(() => void setInterval(() => {}, 1000));
  const [pid] = await service.pids();
  process.kill(pid, 'SIGKILL');
  await service.event('restart', ({ reason }) => /^was not ready after 3000 ms: it does not listen, as others do/.test(reason));
});

test('message: when it says so, and no connection before that', async () => {
  function careful() {
    const http = require('node:http');
    let ready = false;
    http.createServer((request, response) => response.end(`${ready}`)).listen(0, '127.0.0.1');
    process.on('message', (message) => {
      ready = true;
      process.send(message);
    });
  }
  const service = await startService({ worker: careful, options: { ready: 'message' }, ready: false });
  await service.event('listening', () => service.events('listening').length === 2);
  const early = Promise.all(Array.from({ length: 8 }, () => service.get()));
  expect((await service.call('status')).workers.map(({ state }) => state)).toEqual(['starting', 'starting']);
  await service.run(({ cluster }) => {
    for (const worker of Object.values(cluster.workers)) worker.send('almost');
    for (const worker of Object.values(cluster.workers)) worker.send('ready');
  });
  expect(await whenReady(service)).toBe('ready');
  expect((await early).map(({ body }) => body)).toEqual(Array(8).fill('true'));
});

test('online: when it runs', async () => {
  const service = await startService({ worker: () => void setInterval(() => {}, 1000), options: { ready: 'online' } });
  expect(service.events('listening')).toEqual([]);
});

test('one that is not ready in time is killed and started again', async () => {
  const worker = () => void setInterval(() => {}, 1000);
  const service = await startService({ worker, options: { ready: 'message', readyTimeout: 200, workers: 1 }, ready: false });
  const { pid, reason } = await service.event('restart');
  expect(reason).toBe('was not ready after 200 ms');
  await waitForDeath([pid]);
  const { workers } = await service.call('status');
  expect(workers[0].lastExit).toMatchObject({ pid, code: null, signal: 'SIGKILL', reason });
});

test('one that is not ready though stuck in a loop is killed, too', async () => {
  function stuck() {
    for (;;);
  }
  const service = await startService({ worker: stuck, options: { ready: 'message', readyTimeout: 300, workers: 1 }, ready: false });
  const { pid } = await service.event('restart');
  await waitForDeath([pid]);
});
