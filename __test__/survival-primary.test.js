'use strict';

// The primary is killed while it has not read what a worker had to say: what is in the worker's queue by then is served.

const fs = require('node:fs');
const path = require('node:path');
const { RawClient } = require('./helpers/client');
const { waitFor, waitForDeath } = require('./helpers/run');
const { startService, temporaryFolder } = require('./helpers/service');

/** Connections that come at once: more than fill a queue. */
const CLIENTS = 64;
/** A worker that stops for 20 ms and more loses its queue to the primary, and what that has then dies with it. On a busy machine that happens. */
const TRIES = 20;
/** How long (ms) it may take until the queue is seen to be full, and until the worker has the next connection. */
const SOON = 1000;

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

/** @returns {Promise<{ queued: number, served: number } | undefined>} Nothing if it was not so. */
async function killBesideFullQueue() {
  const folder = temporaryFolder();
  const comes = (condition) => waitFor(condition, { timeout: SOON }).then(() => true, () => false);
  const has = (name) => fs.existsSync(path.join(folder, name));
  const put = (name) => fs.writeFileSync(path.join(folder, name), '');
  const service = await startService({ worker: stops, options: { workers: 1, drainTimeout: 15_000 }, env: { FOLDER: folder } });
  const [worker] = await service.pids();
  await service.get('/stop');
  const clients = Array.from({ length: CLIENTS }, () => new RawClient(service.port));
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await waitFor(() => has('first-begins'));
  // As others wait for room in it, the worker is asked to tell when it goes on.
  let queued = 0;
  const isFull = async () => (queued = (await service.call('status')).workers[0].connections.queued) > 1;
  if (!(await comes(isFull))) return undefined;
  process.kill(service.pid, 'SIGSTOP');
  put('first-ends');
  if (!(await comes(() => has('second-begins')))) return undefined;
  process.kill(service.pid, 'SIGKILL');
  await waitForDeath([service.pid]);
  put('second-ends');
  await waitForDeath([worker]);
  await Promise.all(clients.map((client) => client.untilEnded()));
  return { queued, served: clients.filter(({ got }) => got.endsWith('served')).length };
}

test('connections in the queue, and a notice in the other direction', async () => {
  let seen = await killBesideFullQueue();
  for (let tries = 1; !(seen && seen.served > seen.queued) && tries < TRIES; tries++) seen = await killBesideFullQueue();
  // And those that it had taken before.
  expect(seen?.served).toBeGreaterThan(Number(seen?.queued));
}, 60_000);
