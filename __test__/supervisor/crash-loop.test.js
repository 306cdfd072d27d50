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
