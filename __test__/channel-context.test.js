'use strict';

// Callbacks and listeners see the async context that they would see with the built-in module.

const { compare } = require('./helpers/scenario');

test('a callback of send sees the store of its sender: alone, in a burst, and when the other side is slow', async () => {
  const { primary } = await compare({
    async primary({ forkReady, report }) {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const storage = new AsyncLocalStorage();
      const worker = await forkReady();
      const send = (i, message) => new Promise((resolve) => {
        storage.run(i, () => worker.send(message, () => resolve(storage.getStore())));
      });
      report(await send('alone', 1));
      report(await Promise.all(Array.from({ length: 40 }, (_, i) => send(i, { i }))));
      process.kill(worker.process.pid, 'SIGSTOP');
      const long = Promise.all(Array.from({ length: 20 }, (_, i) => send(i, 'x'.repeat(100_000))));
      setImmediate(() => process.kill(worker.process.pid, 'SIGCONT'));
      report(await long);
      process.kill(worker.process.pid, 'SIGSTOP');
      const unsent = Promise.all(Array.from({ length: 3 }, (_, i) => send(i, 'x'.repeat(1_000_000))));
      setImmediate(() => process.kill(worker.process.pid, 'SIGKILL'));
      report(await unsent);
    },
    worker() {
      process.on('message', () => {});
      process.send('ready');
    },
  });
  const numbers = (length) => Array.from({ length }, (_, i) => i);
  expect(primary).toEqual(['alone', numbers(40), numbers(20), numbers(3)]);
});

test('listeners in the primary see the store of the fork', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const storage = new AsyncLocalStorage();
      const worker = storage.run('fork', () => cluster.fork());
      const seen = {};
      worker.on('message', (message) => (seen[message] = storage.getStore() ?? null));
      worker.process.on('disconnect', () => (seen.disconnect = storage.getStore() ?? null));
      await once(worker, 'exit');
      report(seen);
    },
    worker() {
      process.send(1);
      process.send('x'.repeat(100_000).length);
      process.disconnect();
    },
  });
  expect(primary).toEqual([{ 1: 'fork', 100000: 'fork', disconnect: 'fork' }]);
});

test('listeners in a worker see none, whoever began to listen in which', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      worker.send(1);
      report((await once(worker, 'message'))[0]);
      worker.disconnect();
    },
    worker() {
      const { AsyncLocalStorage } = require('node:async_hooks');
      const storage = new AsyncLocalStorage();
      storage.run('listen', () => process.on('message', () => process.send({ store: storage.getStore() ?? null })));
      process.send('ready');
    },
  });
  expect(primary).toEqual([{ store: null }]);
});
