'use strict';

// A new version that is no good: the old workers stay, and no request fails.

const { waitFor } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** Asks all the time while an action goes on; every request has to be answered by one of `pids`. */
async function serving(service, pids, action) {
  let going = true;
  const done = action().finally(() => (going = false));
  const seen = new Set();
  while (going) {
    const replies = await Promise.all([service.get(), service.get()]);
    for (const { status, body } of replies) {
      expect(status).toBe(200);
      seen.add(Number(body));
    }
  }
  expect(pids).toEqual(expect.arrayContaining([...seen]));
  return done;
}

/** The reload is refused for a reason, and everything is as before. */
async function expectRefusal(service, reason) {
  const before = await service.pids();
  const error = await serving(service, before, () => service.call('reload').then(() => undefined, (refusal) => refusal));
  expect(error?.code).toBe('ERR_RCLUSTER_RELOAD_FAILED');
  expect(error.message).toMatch(/^The reload failed, 2 of 2 workers stay as they were: Worker \d+ /);
  expect(error.message).toMatch(reason);
  expect(error.report.workers).toEqual([]);
  expect(error.cause.code).toBe('ERR_RCLUSTER_NOT_READY');
  expect(service.events('reload').at(-1).error).toMatchObject({ code: error.code, message: error.message });
  expect(await service.pids()).toEqual(before);
  expect(service.events('restart')).toEqual([]);
  const { state, leaving } = await service.call('status');
  expect({ state, leaving }).toEqual({ state: 'running', leaving: [] });
}

test('it throws at load', async () => {
  const service = await startService({ worker: pidServer });
  service.deploy(() => {
    throw new Error('a typo');
  });
  await expectRefusal(service, /exited with code 1; its last output was:\nError: a typo\n {4}at /);
});

test('it says why, and exits', async () => {
  const service = await startService({ worker: pidServer });
  service.deploy(() => {
    console.error('no database');
    process.exit(4);
  });
  await expectRefusal(service, /exited with code 4; its last output was:\nno database$/);
});

test('it is never ready', async () => {
  const service = await startService({ worker: pidServer, options: { readyTimeout: 3000 } });
  service.deploy(() => void setInterval(() => {}, 1000));
  await expectRefusal(service, /was not ready after 3000 ms/);
});

test('it exits a while after it was ready', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 1000 } });
  service.deploy(() => {
    require('node:http').createServer((request, response) => response.end('new')).listen(0, '127.0.0.1');
    setTimeout(() => process.exit(5), 300);
  });
  await expectRefusal(service, /exited with code 5 within 1000 ms of being ready$/);
});

test('it reports its own crash a while after it was ready', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 1000, crash: 'drain' } });
  service.deploy(() => {
    require('node:http').createServer((request, response) => response.end('new')).listen(0, '127.0.0.1');
    setTimeout(() => Promise.reject(new Error('too late')), 300);
  });
  await expectRefusal(service, /crashed within 1000 ms of being ready; its last output was:\nError: too late\n/);
});

test('it is slow, but in time', async () => {
  const service = await startService({ worker: pidServer, options: { readyTimeout: 20_000 } });
  const before = await service.pids();
  service.deploy(() => {
    const http = require('node:http');
    setTimeout(() => http.createServer((request, response) => response.end(`${process.pid}`)).listen(0, '127.0.0.1'), 1000);
  });
  let report;
  await (async () => {
    let going = true;
    const done = service.call('reload').finally(() => (going = false));
    while (going) expect((await service.get()).status).toBe(200);
    report = await done;
  })();
  expect(report.workers.map(({ oldPid }) => oldPid)).toEqual(before);
  for (const { readyTime } of report.workers) expect(readyTime).toBeGreaterThanOrEqual(1000);
});

test('the next reload may try again', async () => {
  const service = await startService({ worker: pidServer });
  const before = await service.pids();
  service.deploy(() => process.exit(1));
  await expect(service.call('reload')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_RELOAD_FAILED' });
  service.deploy(pidServer);
  const { workers } = await service.call('reload');
  expect(workers.map(({ oldPid }) => oldPid)).toEqual(before);
});

test('a failure after the first: those that were replaced stay, the others are as before', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 3 } });
  const before = await service.pids();
  const { file } = service;
  // The first of the new version is good, the next are not.
  await service.run((tools, name) => {
    const fs = require('node:fs');
    const text = fs.readFileSync(name, 'utf8');
    fs.writeFileSync(name, `if (require('node:fs').existsSync('${name}.bad')) process.exit(1);\nrequire('node:fs').writeFileSync('${name}.bad', '');\n${text}`);
  }, file);
  const error = await service.call('reload').then(() => undefined, (refusal) => refusal);
  expect(error.message).toMatch(/^The reload failed, 2 of 3 workers stay as they were: /);
  expect(error.report.workers.map(({ oldPid }) => oldPid)).toEqual([before[0]]);
  const after = await service.pids();
  expect(after.slice(1)).toEqual(before.slice(1));
  expect(after[0]).toBe(error.report.workers[0].newPid);
});

test('a rejection that nobody handles does not end the primary', async () => {
  const service = await startService({ worker: pidServer });
  service.deploy(() => process.exit(1));
  await service.run(({ supervisor }) => {
    void supervisor.reload();
    void supervisor.scale(-1);
  });
  await service.event('reload', ({ error }) => error !== undefined);
  await waitFor(async () => (await service.call('status')).state === 'running');
});
