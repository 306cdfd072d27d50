'use strict';

// Connections are as evenly spread after reloads as before.

const { KeepAliveClient } = require('../helpers/client');
const { startService } = require('../helpers/service');

/** Says who answers. */
function tells() {
  const server = require('node:http').createServer((asked, response) => response.end(`${process.pid}`));
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1');
}

test('100 connections over 4 workers, the one with the fewest first, and two reloads', async () => {
  const service = await startService({ worker: tells, options: { workers: 4, policy: 'least' } });
  const clients = Array.from({ length: 100 }, () => new KeepAliveClient(service.port));
  for (const client of clients) await client.ask();
  for (let count = 0; count < 2; count++) await service.call('reload');
  const counts = new Map((await service.pids()).map((pid) => [pid, 0]));
  for (const client of clients) {
    const pid = Number((await client.ask()).body);
    counts.set(pid, counts.get(pid) + 1);
  }
  expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
  // Where nothing else has to be done it is 25 each. One whose turn comes late gives some to others.
  for (const count of counts.values()) expect(count).toBeGreaterThanOrEqual(10);
});
