'use strict';

const { isAlive } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

test('when no worker was ever ready, the supervisor gives up', async () => {
  function broken() {
    throw new Error('cannot start');
  }
  const service = await startService({ worker: broken, ready: false });
  const { fatal, error } = await service.event('crash-loop');
  expect(fatal).toBe(true);
  expect(error.code).toBe('ERR_RCLUSTER_CRASH_LOOP');
  expect(error.message).toMatch(/^4 workers died before any was ready; the last, \d+, exited with code 1: Error: cannot start$/);
  await service.event('stopped');
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  expect(service.told().map(([event]) => event).slice(-2)).toEqual(['stopping', 'stopped']);
});

test('whenReady rejects then', async () => {
  const service = await startService({ worker: () => process.exit(9), ready: false, options: { workers: 1 } });
  await expect(service.call('whenReady')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_CRASH_LOOP' });
});

test('later it is told, and the supervisor goes on', async () => {
  const options = { workers: 2, restart: { delay: 10, limit: 3, max: 50 } };
  const service = await startService({ worker: pidServer, options });
  const [pid, other] = await service.pids();
  service.deploy(() => process.exit(7));
  process.kill(pid, 'SIGKILL');
  const { fatal, error } = await service.event('crash-loop');
  expect(fatal).toBe(false);
  expect(error.message).toMatch(/^3 workers died within 60 s; the last, \d+, exited with code 7$/);
  service.deploy(pidServer);
  await service.waitForStatus(({ workers }) => workers.every(({ state }) => state === 'ready'));
  expect(isAlive(other)).toBe(true);
});

test('"limit" is the crashes within "window"', async () => {
  const options = { workers: 1, restart: { delay: 0, limit: 2 } };
  const service = await startService({ worker: () => process.exit(1), ready: false, options });
  const { error } = await service.event('crash-loop');
  expect(error.message).toMatch(/^2 workers died before any was ready/);
  expect(service.events('restart').length).toBe(1);
});

test('workers that listen and die at once were never ready', async () => {
  function diesSoon() {
    require('node:http').createServer().listen(0, '127.0.0.1', () => setTimeout(() => {
      console.error('Error: no licence');
      process.exit(1);
    }, 20));
  }
  const service = await startService({ worker: diesSoon, ready: false, options: { settleTime: 2000 } });
  const { fatal, error } = await service.event('crash-loop');
  expect(fatal).toBe(true);
  expect(error.message).toMatch(/^4 workers died within 2000 ms of being ready; the last, \d+, exited with code 1: Error: no licence$/);
  await service.event('stopped');
});

test('workers that are killed from outside, though soon, are started again', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1, settleTime: 60_000, restart: { delay: 10, max: 20 } } });
  for (let count = 0; count < 5; count++) {
    const [pid] = await service.pids();
    process.kill(pid, 'SIGKILL');
    await service.waitForStatus(({ workers: [one] }) => one.state === 'ready' && one.pid !== pid);
  }
  expect(service.events('crash-loop')).toEqual([]);
});

test('a second port in use, which they come to later: the supervisor gives up', async () => {
  const other = require('node:net').createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => { other.once('listening', resolve); });
  function twoPorts() {
    const http = require('node:http');
    http.createServer().listen(0, '127.0.0.1');
    setTimeout(() => http.createServer().listen(Number(process.env.TAKEN), '127.0.0.1'), 200);
  }
  try {
    const env = { TAKEN: `${other.address().port}` };
    const service = await startService({ worker: twoPorts, ready: false, options: { settleTime: 50 }, env });
    const { fatal, error } = await service.event('crash-loop');
    expect(fatal).toBe(true);
    expect(error.message).toMatch(/^4 workers died as they cannot listen; .*: Error: (?:listen|bind) EADDRINUSE.* 127\.0\.0\.1:\d+$/);
    await service.event('stopped');
  } finally {
    other.close();
  }
});
