'use strict';

// What a worker may do, and from where on it may not: nearly too much is none of the primary's business, and more is told.

const fs = require('node:fs');
const path = require('node:path');
const { RawClient } = require('./helpers/client');
const { waitFor } = require('./helpers/run');
const { runScenario } = require('./helpers/scenario');
const { startService, temporaryFolder } = require('./helpers/service');

const LONG = 60_000;

describe('where descriptors are few', () => {
  const listens = {
    async primary({ args: count, cluster, once, report }) {
      const worker = cluster.fork({ COUNT: `${count}` });
      worker.on('error', ({ code, message }) => report([code, message]));
      worker.on('message', report);
      await Promise.race(['message', 'disconnect'].map((name) => once(worker, name)));
      worker.process.kill('SIGKILL');
      await once(worker, 'exit');
    },
    worker() {
      const net = require('node:net');
      let listening = 0;
      for (let left = Number(process.env.COUNT); left > 0; left--) {
        net.createServer().listen(0, '127.0.0.1', () => ++listening === Number(process.env.COUNT) && process.send(listening));
      }
    },
  };
  const DESCRIPTORS = 256;

  test('a worker may listen on more addresses than its share, as programs do', async () => {
    const { primary } = await runScenario(listens, { args: 120, descriptors: DESCRIPTORS });
    expect(primary).toEqual([120]);
  });

  test('but not on so many that nobody else could', async () => {
    const { primary } = await runScenario(listens, { args: 140, descriptors: DESCRIPTORS });
    expect(primary).toEqual([['ERR_RCLUSTER_MALFORMED_MESSAGE', expect.stringContaining('more than 128 addresses')]]);
  });
});

test('a worker that was not told to leave hands no connection on to others', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      cluster.schedulingPolicy = cluster.SCHED_NONE;
      const [good, bad] = [cluster.fork(), cluster.fork()];
      await Promise.all([good, bad].map((worker) => once(worker, 'listening')));
      bad.on('error', ({ code, message }) => report([code, message]));
      bad.send('move');
      // It says so when it has done it and nobody minds.
      await Promise.race(['message', 'disconnect'].map((name) => once(bad, name)));
      good.send('end');
      bad.process.kill('SIGKILL');
      await Promise.all([good, bad].map((worker) => once(worker, 'exit')));
    },
    worker() {
      require('node:net').createServer().listen(0, '127.0.0.1');
      const evil = require('./evil');
      process.on('message', (order) => {
        if (order === 'end') process.exit();
        const frame = evil.frame(3, '{"act":"move","key":"127.0.0.1:0:4::0","left":0}', { fds: 1 });
        evil.writeWithDescriptor(process.channel.fd, frame, require('node:fs').openSync('package.json', 'r'));
        process.send('done');
      });
    },
  });
  expect(primary).toEqual([['ERR_RCLUSTER_MALFORMED_MESSAGE', expect.stringContaining('"move" is not for it to say')]]);
});

test('connections that move to a worker which reads nothing for a while wait where they come from', async () => {
  /** Answers, and in the first connection that it gets from another worker it stops until there is a file. */
  function stops() {
    const { existsSync } = require('node:fs');
    const server = require('node:http').createServer((asked, response) => response.end(`${process.pid}`));
    server.keepAliveTimeout = 120_000;
    server.listen(0, '127.0.0.1');
    if (!existsSync(process.env.MOVING)) return;
    server.once('connection', () => {
      const lock = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(process.env.GO_ON)) Atomics.wait(lock, 0, 0, 2);
    });
  }
  const [MOVING, GO_ON] = ['moving', 'go-on'].map((name) => path.join(temporaryFolder(), name));
  const service = await startService({ worker: stops, options: { workers: 1, policy: 'none', drainTimeout: 30_000 }, env: { MOVING, GO_ON } });
  const [old] = await service.pids();
  // More than may be on their way to one that does not read.
  const clients = [];
  while (clients.length < 1500) {
    const some = Array.from({ length: 100 }, () => new RawClient(service.port));
    for (const client of some) client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await Promise.all(some.map((client) => client.until(/\r\n\r\n\d+/)));
    clients.push(...some);
  }
  fs.writeFileSync(MOVING, '');
  await service.retire(old);
  // Until nothing changes any more.
  const seen = [];
  await waitFor(async () => {
    const { leaving } = await service.call('status');
    seen.push(leaving.find(({ pid }) => pid === old)?.connections.active ?? 0);
    return seen.at(-1) < clients.length && seen.slice(-8).length === 8 && new Set(seen.slice(-8)).size === 1;
  }, { message: () => seen.join() });
  fs.writeFileSync(GO_ON, '');
  await service.waitForConnections(clients.length);
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await Promise.all(clients.map((client) => client.until(/\r\n\r\n\d+HTTP[^]*\r\n\r\n\d+/)));
  expect(clients.filter(({ ended }) => ended).length).toBe(0);
}, LONG);
