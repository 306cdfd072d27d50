'use strict';

// File descriptors run out during an upgrade: it is refused, or waits, and nobody who is connected notices.

const fs = require('node:fs');
const path = require('node:path');
const { pidServer, startService, temporaryFolder } = require('../helpers/service');
const { fail, upgrade } = require('../helpers/upgrade');
const { KeepAliveClient } = require('../helpers/client');

/** A Node whose processes have so many descriptors at most. @param {number} count */
function nodeWith(count) {
  const file = path.join(temporaryFolder(), 'node');
  fs.writeFileSync(file, `#!/bin/sh\nulimit -n ${count}\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
  return file;
}

/** Upgrades while so many descriptors of the primary are free. */
const attempt = (service, free) => service.run(async ({ supervisor }, count) => {
  const { closeSync, openSync } = require('node:fs');
  const open = [];
  try {
    for (;;) open.push(openSync('/dev/null'));
  } catch {
    for (const fd of open.splice(0, count)) closeSync(fd);
  }
  try {
    return await supervisor.upgrade();
  } finally {
    for (const fd of open) closeSync(fd);
  }
}, free);

test('with each number of descriptors that is not enough it is refused, and the old primary has as many as before', async () => {
  const service = await startService({ worker: pidServer, node: nodeWith(128), options: { settleTime: 20 } });
  // Not even its own files can be read then.
  await expect(attempt(service, 0)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_UPGRADE_FAILED', message: expect.stringMatching(/goes on: the new one could not be started: .*EMFILE/) });
  /** @type {string[]} */
  const reasons = [];
  for (let free = 1; ; free++) {
    let report;
    const error = await fail(service, () => attempt(service, free).then((done) => {
      report = done;
      throw Object.assign(new Error('it was enough'), { code: 'ENOUGH' });
    })).catch((reason) => (report ? undefined : Promise.reject(reason)));
    if (report) {
      expect(report).toMatchObject({ oldPid: service.pid, cut: 0 });
      break;
    }
    reasons.push(error.message);
  }
  expect(reasons.length).toBeGreaterThan(2);
  for (const reason of reasons) expect(reason).toMatch(/the old primary goes on: the new one.* (?:could not be|has ended|exited|says)/);
}, 60_000);

test('as many idle connections as there is room for cross, though none of the primaries has room for all', async () => {
  const service = await startService({ worker: pidServer, node: nodeWith(100), options: { workers: 4 } });
  const clients = Array.from({ length: 180 }, () => new KeepAliveClient(service.port));
  await Promise.all(clients.map((client) => client.ask()));
  const { report, next } = await upgrade(service);
  expect(report.cut).toBe(0);
  const recent = await next.pids();
  for (const { body } of await Promise.all(clients.map((client) => client.ask()))) expect(recent).toContain(Number(body));
  expect(clients.filter(({ closed }) => closed > 0)).toEqual([]);
});
