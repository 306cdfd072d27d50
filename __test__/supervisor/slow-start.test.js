'use strict';

// Programs that take longer than `readyTimeout` to listen, and programs that never do.

const { startService } = require('../helpers/service');

/** Listens after 900 ms. `/die` ends it. */
function slow() {
  setTimeout(() => {
    require('node:http').createServer((asked, response) => (asked.url === '/die' ? process.exit(7) : response.end(`${process.pid}`)))
      .listen(Number(process.env.PORT ?? 0), '127.0.0.1');
  }, 900);
}

/** Never listens, and says what it does. */
function job() {
  setInterval(() => {}, 1000);
}

test('one that listens late is not ready before; it is said which option to set, once', async () => {
  const service = await startService({ worker: slow, options: { readyTimeout: 300 }, ready: false });
  const { pid } = await service.event('waiting');
  expect(service.events('ready')).toEqual([]);
  expect((await service.call('status')).workers.find((one) => one.pid === pid)).toMatchObject({ state: 'running' });
  await service.event('ready');
  expect(service.told().map(([event]) => event).filter((event) => event === 'waiting' || event === 'ready')).toEqual(['waiting', 'ready']);
  expect(service.events('listening').length).toBeGreaterThan(0);
  expect(service.events('restart')).toEqual([]);
});

test('one that dies comes back, though it takes as long again', async () => {
  const service = await startService({ worker: slow, options: { readyTimeout: 600, workers: 1 } });
  const [pid] = await service.pids();
  await service.get('/die').catch(() => {});
  await service.event('restart', (event) => event.pid === pid);
  await service.waitForStatus(({ workers: [one] }) => one.state === 'ready' && one.pid !== pid);
  expect(service.events('restart').length).toBe(1);
  expect(Number((await service.get()).body)).not.toBe(pid);
});

test('a reload works, though it takes as long again', async () => {
  const service = await startService({ worker: slow, options: { readyTimeout: 600 } });
  const before = await service.pids();
  const { workers } = await service.call('reload');
  expect(workers.map(({ oldPid }) => oldPid)).toEqual(before);
  for (const { readyTime } of workers) expect(readyTime).toBeGreaterThanOrEqual(890);
});

test('a reload before the first ones have listened', async () => {
  const service = await startService({ worker: slow, options: { readyTimeout: 600, workers: 1 }, ready: false });
  const { workers: [{ pid }] } = await service.call('status');
  const { workers } = await service.call('reload');
  expect(workers[0].newPid).not.toBe(pid);
  await service.waitForStatus(({ workers: [one] }) => one.state === 'ready' && one.pid === workers[0].newPid);
});

test('a program that never listens runs, is restarted, scaled, reloaded and stopped', async () => {
  const service = await startService({ worker: job, options: { readyTimeout: 300 }, ready: false });
  await service.event('waiting');
  await service.waitForStatus(({ workers }) => workers.every(({ state }) => state === 'running'));
  await service.call('scale', 3);
  const { workers: [{ pid }] } = await service.call('status');
  process.kill(pid, 'SIGKILL');
  await service.event('restart');
  const running = ({ workers }) => workers.length === 3 && workers.every(({ state }) => state === 'running');
  await service.waitForStatus(running);
  const { workers } = await service.call('reload');
  expect(workers.length).toBe(3);
  expect((await service.call('status')).workers.map(({ pid: now }) => now)).toEqual(workers.map(({ newPid }) => newPid));
  expect(service.events('ready')).toEqual([]);
  void service.call('stop').catch(() => {});
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  expect(service.events('waiting').length).toBe(1);
});

test('a program that never listens and dies an hour later is not one that never worked', async () => {
  const options = { workers: 1, readyTimeout: 100, settleTime: 50, restart: { delay: 10, max: 20, limit: 5 } };
  const service = await startService({ worker: () => void setTimeout(() => process.exit(7), 400), options, ready: false });
  const { fatal } = await service.event('crash-loop');
  expect(fatal).toBe(false);
});

test('with ready: "online" it is ready at once', async () => {
  const service = await startService({ worker: job, options: { ready: 'online' } });
  expect(service.events('waiting')).toEqual([]);
});

test('a primary that was busy meanwhile does not take it for late', async () => {
  function afterAll() {
    require('node:http').createServer((asked, response) => response.end()).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: afterAll, options: { readyTimeout: 1500, workers: 1 } });
  const error = await service.run(({ supervisor }) => {
    const reload = supervisor.reload().then(() => undefined, (reason) => reason.message);
    setTimeout(() => {
      for (const end = Date.now() + 2500; Date.now() < end;);
    }, 20);
    return reload;
  });
  expect(error).toBe(undefined);
});
