'use strict';

const net = require('node:net');

const { request, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

test('a worker that is killed is replaced, and the service goes on', async () => {
  const service = await startService({ worker: pidServer });
  const [pid, other] = await service.pids();
  process.kill(pid, 'SIGKILL');
  const restart = await service.event('restart');
  expect(restart).toEqual({ seat: 0, pid, reason: 'was killed by SIGKILL', delay: expect.any(Number), restarts: 1, lastWords: '' });
  expect(restart.delay).toBeGreaterThanOrEqual(50);
  expect(restart.delay).toBeLessThanOrEqual(100);
  expect((await service.get()).body).toBe(`${other}`);
  const { workers } = await service.waitForStatus((status) => status.workers.every(({ state }) => state === 'ready') && status);
  expect(workers[0]).toMatchObject({ restarts: 1, lastExit: { pid, code: null, signal: 'SIGKILL', reason: 'was killed by SIGKILL' } });
  expect(workers[0].pid).not.toBe(pid);
  expect(workers[1]).toMatchObject({ pid: other, restarts: 0 });
});

test('how many connections ended with a worker is told', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  const [pid] = await service.pids();
  const clients = [1, 2, 3].map(() => net.connect(service.port, '127.0.0.1').on('error', () => {}));
  await service.waitForConnections(3);
  process.kill(pid, 'SIGKILL');
  expect(await service.exitOf(pid)).toMatchObject({ connections: 3 });
  for (const client of clients) client.destroy();
});

test('when the only one is killed, connections wait for the next', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1, restart: { delay: 600 } } });
  const { port } = service;
  const [pid] = await service.pids();
  process.kill(pid, 'SIGKILL');
  await waitForDeath([pid]);
  const replies = await Promise.all(Array.from({ length: 10 }, () => request(port)));
  expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
});

test('one that throws: the event has the stack', async () => {
  const service = await startService({ worker: pidServer });
  await expect(service.get('/throw')).rejects.toMatchObject({ code: 'ECONNRESET' });
  const { reason, lastWords } = await service.event('restart');
  expect(reason).toBe('exited with code 1');
  expect(lastWords).toMatch(/^Error: thrown by a request\n {4}at /);
});

test('one that exits with code 0 is replaced, too', async () => {
  const service = await startService({ worker: pidServer });
  await expect(service.get('/exit?0')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(await service.event('restart')).toMatchObject({ reason: 'exited with code 0' });
});

test('each crash makes the next delay longer', async () => {
  const options = { workers: 1, restart: { delay: 100, factor: 4, limit: 100 } };
  const service = await startService({ worker: pidServer, options });
  service.deploy(() => process.exit(3));
  process.kill((await service.pids())[0], 'SIGKILL');
  const { delay: fourth } = await service.event('restart', ({ restarts }) => restarts === 4);
  const delays = service.events('restart').slice(0, 3).map(({ delay }) => delay);
  for (const [index, delay] of [...delays, fourth].entries()) {
    expect(delay).toBeGreaterThanOrEqual(50 * 4 ** index);
    expect(delay).toBeLessThanOrEqual(100 * 4 ** index);
  }
  const { workers } = await service.call('status');
  expect(workers[0].pid).toBeUndefined();
  expect(workers[0]).toMatchObject({ state: 'restarting', lastExit: { code: 3, reason: 'exited with code 3' } });
});

test('what a worker wrote before it was ready is in the event', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1 } });
  service.deploy(() => {
    console.log('no configuration');
    console.error('giving up');
    process.exit(1);
  });
  process.kill((await service.pids())[0], 'SIGKILL');
  const { lastWords } = await service.event('restart', ({ reason }) => reason === 'exited with code 1');
  expect(lastWords).toBe('no configuration\ngiving up');
});

test('what cannot be forked is thrown, when it is the first', async () => {
  const bad = startService({ worker: pidServer, options: { cwd: 5 } });
  await expect(bad).rejects.toThrow(/ERR_INVALID_ARG_TYPE[^]*"options\.cwd" property must be of type string/);
});

test('a fork that fails is tried again, and the primary lives on', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1, restart: { limit: 1000, max: 300 } } });
  const [pid] = await service.pids();
  // No descriptor is left for a new worker.
  await service.run(() => {
    const fs = require('node:fs');
    globalThis.hoard = [];
    try {
      for (;;) globalThis.hoard.push(fs.openSync('/dev/null'));
    } catch {
      fs.closeSync(globalThis.hoard.pop());
    }
  });
  process.kill(pid, 'SIGKILL');
  await waitForDeath([pid]);
  await service.script.waitForLine(/"restart".*could not be started/);
  await service.script.waitForLine(/"restart".*"restarts":4,/);
  // One descriptor was left to let us in.
  await service.run(() => {
    const fs = require('node:fs');
    for (const fd of globalThis.hoard) fs.closeSync(fd);
  });
  await service.waitForStatus(({ workers }) => workers[0].state === 'ready');
  expect((await service.get()).status).toBe(200);
});
