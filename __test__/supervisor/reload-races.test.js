'use strict';

// A reload, and what else may happen meanwhile.

const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** A worker that is slow enough to do something else meanwhile. */
function slowStart() {
  const http = require('node:http');
  setTimeout(() => http.createServer((request, response) => response.end(`${process.pid}`)).listen(0, '127.0.0.1'), 500);
}

test('two reloads at a time are one', async () => {
  const service = await startService({ worker: pidServer });
  const [first, second] = await service.run(async ({ supervisor }) => {
    const reports = [supervisor.reload(), supervisor.reload()];
    return [reports[0] === reports[1], (await Promise.all(reports))[0]];
  });
  expect(first).toBe(true);
  expect(second.workers.length).toBe(2);
  expect(service.events('reload').length).toBe(1);
  expect(service.events('reloading').length).toBe(1);
});

test('a reload during a reload comes after it, and several that wait are one', async () => {
  const service = await startService({ worker: slowStart });
  const before = await service.pids();
  const reload = service.call('reload');
  await service.waitForStatus(({ state }) => state === 'reloading');
  service.deploy(pidServer);
  const outcome = await service.run(async ({ supervisor }) => {
    const waiting = [supervisor.reload(), supervisor.reload()];
    return [waiting[0] === waiting[1], await waiting[0]];
  });
  const first = await reload;
  expect(first.workers.map(({ oldPid }) => oldPid)).toEqual(before);
  expect(outcome[0]).toBe(true);
  expect(outcome[1].workers.map(({ oldPid }) => oldPid)).toEqual(first.workers.map(({ newPid }) => newPid));
  expect(await service.pids()).toEqual(outcome[1].workers.map(({ newPid }) => newPid));
  expect(service.told().map(([event]) => event).filter((event) => /^reload/.test(event))).toEqual(['reloading', 'reload', 'reloading', 'reload']);
});

test('a reload that waits is done though the one before fails', async () => {
  const service = await startService({ worker: pidServer });
  const before = await service.pids();
  service.deploy(() => setTimeout(() => process.exit(3), 300));
  const reload = service.call('reload').catch(({ code }) => code);
  await service.event('reloading');
  service.deploy(pidServer);
  // Too late for the first of the version before, which has read its script already, or not: it may be either.
  const { workers } = await service.call('reload');
  await reload;
  await waitForDeath(before);
  expect(await service.pids()).toEqual(workers.map(({ newPid }) => newPid));
});

test('a reload that a listener of the last one asks for', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const states = await service.run(async ({ supervisor }) => {
    const seen = [];
    const second = new Promise((resolve) => {
      supervisor.once('reload', () => {
        seen.push(supervisor.status().state);
        resolve(supervisor.reload());
      });
    });
    const [one, two] = await Promise.all([supervisor.reload(), second]);
    return [...seen, one.workers[0].newPid === two.workers[0].oldPid, supervisor.status().state];
  });
  expect(states).toEqual(['running', true, 'running']);
});

test('a stop ends a reload and the one that waits', async () => {
  const service = await startService({ worker: pidServer });
  service.deploy(slowStart);
  const outcome = await service.run(async ({ supervisor }) => {
    const code = (promise) => promise.then(() => 'done', (error) => error.code);
    const first = code(supervisor.reload());
    await new Promise((resolve) => { supervisor.once('reloading', () => setImmediate(resolve)); });
    const second = code(supervisor.reload());
    supervisor.removeAllListeners('stopped');
    await supervisor.stop();
    return [await first, await second, supervisor.status().state];
  });
  expect(outcome).toEqual(['ERR_RCLUSTER_STOPPED', 'ERR_RCLUSTER_STOPPED', 'stopped']);
});

test('status says so', async () => {
  const service = await startService({ worker: pidServer });
  const states = await service.run(async ({ supervisor }) => {
    const reload = supervisor.reload();
    const during = supervisor.status().state;
    await reload;
    return [during, supervisor.status().state];
  });
  expect(states).toEqual(['reloading', 'running']);
});

test('a stop during a reload wins', async () => {
  const service = await startService({ worker: pidServer });
  service.deploy(slowStart);
  const outcome = await service.run(async ({ supervisor }) => {
    const reload = supervisor.reload().then(() => 'done', ({ code }) => code);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    process.removeAllListeners('exit');
    supervisor.removeAllListeners('stopped'); // So that we can still answer.
    await supervisor.stop();
    return [await reload, supervisor.status().state, Object.keys(require('node:cluster').workers).length];
  });
  expect(outcome).toEqual(['ERR_RCLUSTER_STOPPED', 'stopped', 0]);
});

test('a stop while the first of a new version settles', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 20_000 } });
  const before = await service.pids();
  void service.call('reload').catch(() => {});
  await service.event('listening', ({ pid }) => !before.includes(pid));
  process.kill(service.pid, 'SIGUSR1'); // Nothing: the primary has no such handler of ours.
  void service.call('stop').catch(() => {});
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  expect(service.events('reload')).toMatchObject([{ error: { code: 'ERR_RCLUSTER_STOPPED' } }]);
  await waitForDeath(before);
});

test('after a stop there is no reload', async () => {
  const service = await startService({ worker: pidServer });
  const code = await service.run(({ supervisor }) => {
    supervisor.removeAllListeners('stopped');
    void supervisor.stop();
    return supervisor.reload().catch((error) => error.code);
  });
  expect(code).toBe('ERR_RCLUSTER_STOPPED');
});

test('a worker that dies while its replacement starts: the replacement takes its place', async () => {
  const service = await startService({ worker: pidServer });
  const [pid] = await service.pids();
  service.deploy(slowStart);
  const reload = service.call('reload');
  await service.waitForStatus(({ state }) => state === 'reloading');
  process.kill(pid, 'SIGKILL');
  expect(await service.event('restart')).toMatchObject({ pid, delay: 0 });
  const { workers } = await reload;
  expect(workers[0].oldPid).toBe(undefined);
  expect((await service.pids())[0]).toBe(workers[0].newPid);
});

test('a worker that dies while its replacement settles: it need not settle any longer', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1, settleTime: 20_000 } });
  const [pid] = await service.pids();
  const reload = service.call('reload');
  await service.event('listening', (event) => event.pid !== pid);
  process.kill(pid, 'SIGKILL');
  const { workers } = await reload;
  expect((await service.get()).body).toBe(`${workers[0].newPid}`);
});

test('a worker that dies while it drains', async () => {
  const service = await startService({ worker: pidServer });
  const slow = service.get('/slow?20000').catch((error) => error.code);
  const { pid } = await service.waitForStatus(({ workers }) => workers.find(({ connections }) => connections.active === 1));
  const reload = service.call('reload');
  await service.waitForStatus(({ leaving }) => leaving.some((one) => one.pid === pid));
  process.kill(pid, 'SIGKILL');
  expect((await reload).workers.map(({ cut, moved }) => [cut, moved])).toEqual([[0, 0], [0, 0]]);
  expect(await slow).toBe('ECONNRESET');
  // Nobody was restarted for it.
  expect(service.events('restart')).toEqual([]);
});

test('another worker crashes meanwhile', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 3 } });
  const before = await service.pids();
  service.deploy(slowStart);
  const reload = service.call('reload');
  await service.waitForStatus(({ state }) => state === 'reloading');
  process.kill(before[2], 'SIGKILL');
  const { workers } = await reload;
  expect(workers.length).toBe(3);
  await service.waitForStatus((status) => status.workers.every(({ state }) => state === 'ready'));
  await waitForDeath(before);
  expect(service.script.stderr).toEqual([]);
});

test('the service is scaled down meanwhile', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 3 } });
  service.deploy(slowStart);
  const reload = service.call('reload');
  await service.waitForStatus(({ state }) => state === 'reloading');
  await service.call('scale', 1);
  const { workers } = await reload;
  expect(workers.map(({ seat }) => seat)).toEqual([0]);
  const { workers: [{ pid }], leaving } = await service.call('status');
  expect([pid, leaving]).toEqual([workers[0].newPid, []]);
});

test('a worker that is being replaced for another reason is replaced again', async () => {
  const service = await startService({ worker: slowStart });
  const [pid] = await service.pids();
  await service.run(({ cluster }, wanted) => {
    Object.values(cluster.workers).find((worker) => worker.process.pid === wanted).disconnect();
  }, pid);
  service.deploy(pidServer);
  const { workers } = await service.call('reload');
  // The one that began before may run the old version: it has gone, too.
  expect(workers[0].oldPid).not.toBe(pid);
  expect((await service.pids()).sort()).toEqual(workers.map(({ newPid }) => newPid).sort());
});

test('several at a time', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 4, reloadParallel: 3 } });
  const before = await service.pids();
  const { workers } = await service.call('reload');
  expect(workers[0].seat).toBe(0);
  expect(workers.map(({ oldPid }) => oldPid).sort()).toEqual([...before].sort());
  await waitForDeath(before);
});
