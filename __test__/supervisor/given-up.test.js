'use strict';

// Workers whose channel has ended while their process lives on.

const { startService } = require('../helpers/service');
const { isAlive, waitForDeath } = require('../helpers/run');

/** What ends its channel, and nothing ends its process: `/leave` says goodbye, `/break` writes nonsense into it. */
function stubborn() {
  const server = require('node:http').createServer((asked, response) => {
    response.end(`${process.pid}`, () => {
      if (asked.url === '/') return;
      process.exit = () => {};
      process.on('uncaughtException', () => {});
      setInterval(() => {}, 1000);
      if (asked.url === '/leave') process.disconnect();
      // The first descriptor after the standard streams.
      else require('node:fs').writeSync(3, Buffer.alloc(64, 0xff));
    });
  });
  server.listen(0, '127.0.0.1');
}

test('one that has left the channel is replaced, and killed when its time to finish is over', async () => {
  const service = await startService({ worker: stubborn, options: { workers: 1, drainTimeout: 1000 } });
  const pid = Number((await service.get('/leave')).body);
  const { reason } = await service.event('restart', (event) => event.pid === pid);
  expect(reason).toBe('has lost its channel');
  await service.waitForStatus(({ workers: [one] }) => one.state === 'ready' && one.pid !== pid);
  expect(Number((await service.get()).body)).not.toBe(pid);
  await waitForDeath([pid]);
  expect(await service.exitOf(pid)).toMatchObject({ reason: 'has lost its channel' });
});

test('one whose channel we closed for nonsense is reported with it, and replaced', async () => {
  const service = await startService({ worker: stubborn, options: { workers: 2, drainTimeout: 1000 } });
  const pid = Number((await service.get('/break')).body);
  const { reason } = await service.event('restart', (event) => event.pid === pid);
  expect(reason).toMatch(/^has lost its channel: The channel was closed: /);
  await waitForDeath([pid]);
  await service.waitForStatus(({ workers }) => workers.length === 2 && workers.every((one) => one.state === 'ready' && one.pid !== pid));
  expect(isAlive(service.pid)).toBe(true);
});

test('one that ends is not one that has lost its channel', async () => {
  const service = await startService({ worker: stubborn, options: { workers: 1 } });
  const [pid] = await service.pids();
  process.kill(pid, 'SIGKILL');
  expect((await service.event('restart')).reason).toBe('was killed by SIGKILL');
});
