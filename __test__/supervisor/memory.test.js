'use strict';

const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** A worker that takes 200 MB when it is asked to. */
function hungry() {
  const http = require('node:http');
  const held = [];
  http
    .createServer((request, response) => {
      if (request.url === '/eat') held.push(Buffer.alloc(200 * 2 ** 20, 1));
      setTimeout(() => response.end(`${process.pid}`), request.url === '/slow' ? 3000 : 0);
    })
    .listen(0, '127.0.0.1');
}

test('a worker above maxMemory is replaced, the new one first, and what it is doing is finished', async () => {
  const service = await startService({ worker: hungry, options: { maxMemory: '200M', restart: { delay: 0 } } });
  const pid = Number((await service.get('/eat')).body);
  const slow = service.get('/slow');
  const other = service.get('/slow');
  const event = await service.event('memory');
  expect(event).toEqual({ pid, bytes: expect.any(Number), delay: 0 });
  expect(event.bytes).toBeGreaterThan(200 * 2 ** 20);
  expect((await Promise.all([slow, other])).map(({ status }) => status)).toEqual([200, 200]);
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  await waitForDeath([pid]);
  expect(service.events('restart')).toEqual([]);
});

test('where every worker is above it, they are replaced at growing intervals', async () => {
  const options = { workers: 1, maxMemory: '1M', restart: { delay: 3000 } };
  const service = await startService({ worker: pidServer, options });
  const { delay, bytes } = await service.event('memory');
  expect(bytes).toBeGreaterThan(10 * 2 ** 20);
  expect(delay).toBeGreaterThanOrEqual(1500);
  expect((await service.get()).status).toBe(200);
});
