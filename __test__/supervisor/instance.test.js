'use strict';

// NODE_APP_INSTANCE, and `cluster.worker.instance`: the number of the seat, from 0 on.

const { startService } = require('../helpers/service');

/** Answers with what it knows of its number. */
function tells() {
  const { worker } = require('node:cluster');
  require('node:http').createServer((asked, response) => response.end()).listen(0, '127.0.0.1');
  console.log(`instance ${process.pid} ${process.env.NODE_APP_INSTANCE} ${worker.instance}`);
}

/** What the workers have printed: `[environment, worker.instance]` by pid. */
function numbers(service) {
  const lines = service.script.stdout.filter((line) => line.startsWith('instance')).map((line) => line.split(' '));
  return new Map(lines.map(([, pid, ...both]) => [Number(pid), both.join(' ')]));
}

test('each worker has the number of its seat, in all three places', async () => {
  const service = await startService({ worker: tells, options: { workers: 3 }, env: { NODE_APP_INSTANCE: '7' } });
  const { workers } = await service.call('status');
  expect(workers.map(({ seat }) => seat)).toEqual([0, 1, 2]);
  expect(workers.map(({ pid }) => numbers(service).get(pid))).toEqual(['0 0', '1 1', '2 2']);
  const seen = await service.run(({ cluster }) => Object.values(cluster.workers).map(({ instance, process: { pid } }) => [pid, instance]));
  expect(seen).toEqual(workers.map(({ pid, seat }) => [pid, seat]));
});

test('it stays: after a crash, through a reload, and when the service has been smaller', async () => {
  const service = await startService({ worker: tells, options: { workers: 3 } });
  const inOrder = async () => (await service.call('status')).workers.map(({ pid }) => numbers(service).get(pid));
  const [, pid] = await service.pids();
  process.kill(pid, 'SIGKILL');
  const isReady = ({ workers }) => workers.every(({ state }) => state === 'ready');
  await service.waitForStatus((status) => isReady(status) && status.workers[1].pid !== pid);
  expect(await inOrder()).toEqual(['0 0', '1 1', '2 2']);
  await service.call('reload');
  expect(await inOrder()).toEqual(['0 0', '1 1', '2 2']);
  const before = await service.pids();
  await service.call('scale', 1);
  expect(await service.pids()).toEqual([before[0]]);
  await service.call('scale', 3);
  expect(await inOrder()).toEqual(['0 0', '1 1', '2 2']);
});

test('a variable that the option "env" has is left as it is', async () => {
  const service = await startService({ worker: tells, options: { workers: 1, env: { NODE_APP_INSTANCE: 'x' } } });
  const [pid] = await service.pids();
  expect(numbers(service).get(pid)).toBe('x 0');
});
