'use strict';

// The primary is killed while it has not read what a worker had to say: what is in the worker's queue by then is served.

const fs = require('node:fs');
const path = require('node:path');
const { RawClient } = require('./helpers/client');
const { waitFor, waitForDeath } = require('./helpers/run');
const { startService, temporaryFolder } = require('./helpers/service');

/** Connections that come at once: more than fill a queue. */
const CLIENTS = 64;

/** When it has been asked to, a worker stops in the next connection, and in the first one of a later turn, until there is a file. */
function stops() {
  const { existsSync, writeFileSync } = require('node:fs');
  const { FOLDER } = process.env;
  const stopFor = (name) => {
    writeFileSync(`${FOLDER}/${name}-begins`, '');
    const lock = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(`${FOLDER}/${name}-ends`)) Atomics.wait(lock, 0, 0, 2);
  };
  const server = require('node:http').createServer((asked, response) => {
    response.end('served');
    if (asked.url !== '/stop') return;
    server.once('connection', () => {
      stopFor('first');
      setImmediate(() => server.once('connection', () => stopFor('second')));
    });
  });
  server.listen(0, '127.0.0.1');
}

test('connections in the queue, and a notice in the other direction', async () => {
  const folder = temporaryFolder();
  const has = (name) => waitFor(() => fs.existsSync(path.join(folder, name)), { message: name });
  const put = (name) => fs.writeFileSync(path.join(folder, name), '');
  const service = await startService({ worker: stops, options: { workers: 1, drainTimeout: 15_000 }, env: { FOLDER: folder } });
  const [worker] = await service.pids();
  await service.get('/stop');
  const clients = Array.from({ length: CLIENTS }, () => new RawClient(service.port));
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await has('first-begins');
  // As others wait for room in it, the worker is asked to tell when it goes on.
  const queued = await service.waitForStatus(({ workers: [{ connections }] }) => connections.queued > 1 && connections.queued);
  process.kill(service.pid, 'SIGSTOP');
  put('first-ends');
  await has('second-begins');
  process.kill(service.pid, 'SIGKILL');
  await waitForDeath([service.pid]);
  put('second-ends');
  await waitForDeath([worker]);
  await Promise.all(clients.map((client) => client.untilEnded()));
  // And those that it had taken before.
  expect(clients.filter(({ got }) => got.endsWith('served')).length).toBeGreaterThan(queued);
});
