'use strict';

// crash: 'drain': a worker that has thrown leaves the rotation, finishes what it has, and exits with code 1.

const { KeepAliveClient } = require('../helpers/client');
const { isAlive, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

const OPTIONS = { crash: 'drain' };

function crashing() {
  const cluster = require('node:cluster');
  const http = require('node:http');
  const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
  http
    .createServer(async (request, response) => {
      if (request.url === '/throw') setImmediate(() => { throw new Error('thrown later'); });
      if (request.url === '/reject') void Promise.reject(new Error('rejected'));
      if (request.url === '/slow') await draining;
      response.end(`${process.pid}`);
    })
    .listen(0, '127.0.0.1');
  if (process.env.CAUGHT) process.on('uncaughtException', () => {});
}

test.each([['/throw', 'Error: thrown later'], ['/reject', 'Error: rejected']])('%s', async (path, words) => {
  const service = await startService({ worker: crashing, options: OPTIONS });
  const client = new KeepAliveClient(service.port);
  const pid = Number((await client.ask()).body);
  const slow = client.ask('/slow');
  // Until it is the same worker that gets the request.
  while (Number((await service.get(path)).body) !== pid);
  expect((await slow).body).toBe(`${pid}`);
  expect(await service.event('restart', (event) => event.pid === pid)).toMatchObject({
    reason: 'crashed',
    lastWords: expect.stringMatching(new RegExp(`^${words}\n {4}at `)),
  });
  expect(await service.exitOf(pid)).toMatchObject({ code: 1, reason: 'exited with code 1' });
  expect(Number((await client.ask()).body)).not.toBe(pid);
  expect(client.closed).toBe(0);
  // It is printed, as Node would have.
  expect(service.script.stderr).toContain(words);
});

test('who is there before the replacement serves on', async () => {
  const service = await startService({ worker: crashing, options: { ...OPTIONS, restart: { delay: 60_000 } } });
  const [first] = (await service.get('/throw')).body.split('\n').map(Number);
  await waitForDeath([first]);
  expect(Number((await service.get()).body)).not.toBe(first);
});

test('a worker that has a listener of its own for it goes on', async () => {
  const service = await startService({ worker: crashing, options: { ...OPTIONS, workers: 1 }, env: { CAUGHT: '1' } });
  const [pid] = await service.pids();
  await service.get('/throw');
  expect((await service.get()).body).toBe(`${pid}`);
  expect(isAlive(pid)).toBe(true);
  expect(service.events('restart')).toEqual([]);
});

test('at its start it exits at once, and crash loops are seen', async () => {
  const service = await startService({ worker: () => { throw new Error('at load'); }, options: OPTIONS, ready: false });
  const { error } = await service.event('crash-loop');
  expect(error.message).toMatch(/exited with code 1: Error: at load$/);
});

test('restarts are delayed as after any crash', async () => {
  function soon() {
    require('node:http').createServer((request, response) => response.end()).listen(0, '127.0.0.1');
    setTimeout(() => { throw new Error('soon'); }, 100);
  }
  const service = await startService({ worker: pidServer, options: { ...OPTIONS, workers: 1, restart: { delay: 100, factor: 4, limit: 100 } } });
  service.deploy(soon);
  process.kill((await service.pids())[0], 'SIGKILL');
  await service.event('restart', ({ restarts }) => restarts === 3);
  const delays = service.events('restart').map(({ delay }) => delay);
  for (const [index, delay] of delays.entries()) expect(delay).toBeGreaterThanOrEqual(50 * 4 ** index);
});
