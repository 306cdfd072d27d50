'use strict';

// A worker leaves while the primary has no file descriptor left: what it passes on waits until there are some.

const { KeepAliveClient } = require('../helpers/client');
const { pidServer, startService } = require('../helpers/service');

/** Leaves with one worker less, and has no descriptor until that has ended. */
const scaleWithoutDescriptors = (service) => service.run(async ({ cluster, supervisor }) => {
  const { closeSync, openSync } = require('node:fs');
  require('node:child_process').spawnSync('prlimit', ['--pid', process.pid, '--nofile=128']);
  const exit = new Promise((resolve) => { cluster.once('exit', resolve); });
  const open = [];
  try {
    for (;;) open.push(openSync('/dev/null'));
  } catch {
    // There is none left.
  }
  try {
    await Promise.all([exit, supervisor.scale(1)]);
  } finally {
    for (const fd of open) closeSync(fd);
  }
});

test('idle connections of a worker that ends then are nobody\'s loss', async () => {
  const service = await startService({ worker: pidServer });
  const clients = Array.from({ length: 30 }, () => new KeepAliveClient(service.port));
  await Promise.all(clients.map((client) => client.ask()));
  await scaleWithoutDescriptors(service);
  const [last] = await service.pids();
  for (const { body } of await Promise.all(clients.map((client) => client.ask()))) expect(Number(body)).toBe(last);
  expect(clients.filter(({ closed }) => closed > 0).length).toBe(0);
});
