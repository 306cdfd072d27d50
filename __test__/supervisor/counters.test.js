'use strict';

// What a worker's board says besides connections: how long those waited, how long turns of the loop took, and HTTP requests.

const { ChildProcess } = require('node:child_process');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');

const { startService } = require('../helpers/service');

/** Which bucket of a histogram something that took so long (ms) belongs to. */
const bucketOf = (time, bounds) => (bounds.findIndex((bound) => time <= bound) + bounds.length + 1) % (bounds.length + 1);

/** Says who it is as soon as it has a connection; a line that says how long makes it block. */
function blockingServer() {
  require('node:net').createServer((socket) => {
    socket.on('error', () => {}).write('here\n');
    socket.on('data', (data) => {
      socket.write('blocked');
      const end = Date.now() + Number(data);
      while (Date.now() < end);
    });
  }).listen(0, '127.0.0.1');
}

test('how long connections waited for a worker that was blocked is what their clients saw, within a bucket', async () => {
  const service = await startService({ worker: blockingServer, options: { workers: 1 } });
  const connect = () => net.connect(service.port, '127.0.0.1').on('error', () => {});
  const first = connect();
  await once(first, 'data');
  // By a clock of whole milliseconds: a little less by the loop's.
  first.write('400');
  await once(first, 'data');
  const clients = Array.from({ length: 5 }, async () => {
    const client = connect();
    await once(client, 'connect');
    const began = performance.now();
    await once(client, 'data');
    return { client, time: performance.now() - began };
  });
  const seen = await Promise.all(clients);
  const { workers: [{ waiting, loop }] } = await service.waitForStatus((status) => status.workers[0].waiting.count === 6 && status.workers[0].loop.longestTurn >= 390 && status);
  const buckets = waiting.counts.flatMap((count, bucket) => Array(count).fill(bucket));
  const outside = seen.map(({ time }) => bucketOf(time, waiting.bounds)).sort((a, b) => a - b);
  // The one that came first did not wait.
  for (const [index, bucket] of buckets.slice(1).entries()) expect(Math.abs(bucket - outside[index])).toBeLessThanOrEqual(1);
  expect(waiting.sum).toBeLessThan(seen.reduce((sum, { time }) => sum + time, 0) + 400);
  expect(waiting.p99).toBeGreaterThanOrEqual(waiting.p50);
  expect(loop.delay.counts.slice(bucketOf(390, waiting.bounds)).some((count) => count > 0)).toBe(true);
  expect(loop.delay.count).toBe(loop.turns - 1);
  for (const { client } of seen) client.destroy();
  first.destroy();
});

function httpServer() {
  require('node:http').createServer((request, response) => {
    const [, code, delay] = request.url.split('/');
    setTimeout(() => response.writeHead(Number(code)).end('x'), Number(delay));
  }).listen(0, '127.0.0.1');
}

test('requests, errors and times of responses are counted where that is asked for', async () => {
  const service = await startService({ worker: httpServer, options: { workers: 1, countRequests: true } });
  const agent = new http.Agent({ keepAlive: true });
  const get = async (path) => {
    const [response] = await once(http.get({ port: service.port, host: '127.0.0.1', path, agent }), 'response');
    response.resume();
    await once(response, 'end');
  };
  for (const path of ['/200/0', '/404/0', '/500/0', '/503/120']) await get(path);
  const told = await service.waitForStatus(({ workers: [{ http: counted }] }) => counted.time.count === 4 && counted);
  agent.destroy();
  expect(told).toMatchObject({ requests: 4, errors: 2 });
  expect(told.time.sum).toBeGreaterThanOrEqual(119);
  expect(told.time.counts.slice(bucketOf(119, told.time.bounds)).reduce((a, b) => a + b)).toBeGreaterThanOrEqual(1);
});

test('without that nothing is subscribed to', async () => {
  const service = await startService({ worker: httpServer, options: { workers: 1 } });
  await service.get('/200/0');
  const { workers: [worker] } = await service.call('status');
  expect(worker.http).toBeUndefined();
  const stats = await service.run(({ cluster }) => Object.values(cluster.workers)[0].stats);
  expect(stats).toEqual({
    connections: { active: expect.any(Number), queued: 0, total: 1 },
    loop: { utilization: expect.any(Number), longestTurn: expect.any(Number), turns: expect.any(Number), delay: expect.any(Object) },
    waiting: expect.objectContaining({ count: 1 }),
  });
});

test("a worker of the program's own has none", () => {
  const cluster = require('../../index.js');
  expect(new cluster.Worker({ process: new ChildProcess() }).stats).toBeUndefined();
});

test('the option is yes or no', () => {
  const { parse } = require('../../lib/supervisor/options.js');
  expect(() => parse({ countRequests: 'yes' })).toThrow('The "countRequests" option must be true or false. Received type string (\'yes\')');
});
