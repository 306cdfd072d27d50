'use strict';

// Connections are evenly spread over the new workers after reloads, however they were before.

const { setTimeout: sleep } = require('node:timers/promises');

const { KeepAliveClient } = require('../helpers/client');
const { startService } = require('../helpers/service');

const WORKERS = 4;
const CLIENTS = 40;

/** Says who answers. */
function tells() {
  const server = require('node:http').createServer((asked, response) => response.end(`${process.pid}`));
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1');
}

/** @param {import('../helpers/service').Service} service */
const counts = async (service) => (await service.call('status')).workers.map(({ connections }) => connections.active);

/**
 * Asks without end, but for the time that others need on a machine with few processors.
 *
 * @param {KeepAliveClient[]} clients
 * @returns {() => Promise<void>} stops
 */
function keepBusy(clients) {
  let stopped = false;
  const all = clients.map(async (client) => {
    while (!stopped) {
      await client.ask();
      await sleep(5);
    }
  });
  return async () => {
    stopped = true;
    await Promise.all(all);
  };
}

describe.each(['rr', 'least', 'reuseport', 'none'])('policy %s', (policy) => {
  test.each(['idle', 'busy'])('all connections of one worker, three more workers, and reloads, clients being %s', async (how) => {
    const service = await startService({ worker: tells, options: { workers: 1, policy } });
    const clients = Array.from({ length: CLIENTS }, () => new KeepAliveClient(service.port));
    for (const client of clients) await client.ask();
    await service.call('scale', WORKERS);
    expect((await counts(service)).sort((a, b) => a - b)).toEqual([0, 0, 0, CLIENTS]);
    const stop = keepBusy(how === 'busy' ? clients.slice(0, CLIENTS / 2) : []);
    // One would do, if the kernel and the workers were always as fast as they can be.
    await service.call('reload');
    const { workers } = await service.call('reload');
    // Each once.
    expect(workers.reduce((sum, { moved }) => sum + moved, 0)).toBe(CLIENTS);
    await service.waitForConnections(CLIENTS);
    const spread = await counts(service);
    await stop();
    expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
    // A tenth of the mean.
    expect({ spread, isEven: Math.max(...spread) - Math.min(...spread) <= CLIENTS / WORKERS / 10 }).toEqual({ spread, isEven: true });
    // Who is said to have it has it.
    const seen = new Map((await service.pids()).map((pid) => [pid, 0]));
    for (const client of clients) {
      const pid = Number((await client.ask()).body);
      seen.set(pid, seen.get(pid) + 1);
    }
    expect([...seen.values()]).toEqual(spread);
  });
});
