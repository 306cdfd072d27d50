'use strict';

// What was sent arrives, once and in order: whatever the receiver does, and however the sender ends.

const { compare, echo, runScenario } = require('./helpers/scenario');

const OK = { code: 0, signal: null };

test('callbacks are called once, later, without an error and in the order of their messages', async () => {
  const { primary } = await compare({
    async primary({ forkReady, report }) {
      const worker = await forkReady();
      const order = [];
      let returned = false;
      const callback = (name) => (error) => order.push([name, error, returned]);
      report([
        worker.send(1, callback(1)),
        worker.send(2, undefined, callback(2)),
        worker.send(3, undefined, {}, callback(3)),
        worker.send(4),
        worker.send('x'.repeat(1 << 20), callback('long')),
        worker.send(5, callback(5)),
      ]);
      returned = true;
      worker.on('message', (message) => {
        if (message !== 5) return;
        report(order);
        worker.disconnect();
      });
    },
    worker: echo,
  });
  const called = [1, 2, 3, 'long', 5].map((name) => [name, null, true]);
  expect(primary).toEqual([[true, true, true, true, false, false], called]);
});

test('long texts keep their place among other messages, with callbacks', async () => {
  const { primary } = await compare({
    async primary({ forkReady, report }) {
      const worker = await forkReady();
      const called = [];
      for (let i = 0; i < 40; i++) {
        const message = i % 3 === 0 ? { i, text: `${i}`.repeat(20_000) } : { i };
        worker.send(message, () => called.push(i));
      }
      const got = [];
      worker.on('message', ({ i, text }) => {
        got.push(text === undefined ? i : [i, text === `${i}`.repeat(20_000)]);
        if (got.length < 40) return;
        // The built-in calls back later for what the kernel has not taken at once, so that others overtake it.
        report([got, called.sort((one, other) => one - other)]);
        worker.disconnect();
      });
    },
    worker: echo,
  });
  const all = Array.from({ length: 40 }, (_, i) => i);
  expect(primary).toEqual([[all.map((i) => (i % 3 === 0 ? [i, true] : i)), all]]);
});

test('a message with a long text that has no JSON form leaves nothing behind', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      const text = 'x'.repeat(20_000);
      for (const bad of [{ text, big: 1n }, { text, toJSON: () => 2n }]) {
        try {
          worker.send(bad);
        } catch (error) {
          report(error.message);
        }
      }
      worker.send({ text, after: 1 });
      const [{ after }] = await once(worker, 'message');
      report(after);
      worker.disconnect();
    },
    worker: echo,
  });
  expect(primary.at(-1)).toBe(1);
});

test('messages with and without handles keep their order', async () => {
  const { primary } = await runScenario({
    async primary({ forkReady, once, report }) {
      const server = require('node:net').createServer().listen(0);
      await once(server, 'listening');
      const worker = await forkReady();
      for (let i = 0; i < 30; i++) worker.send(i, i % 3 === 1 ? server : undefined);
      const got = [];
      worker.on('message', (message) => {
        got.push(message);
        if (got.length < 30) return;
        report(got);
        server.close();
        worker.disconnect();
      });
    },
    worker() {
      process.on('message', (message, handle) => {
        process.send([message, handle?.constructor.name ?? null]);
        handle?.close();
      });
      process.send('ready');
    },
  });
  expect(primary).toEqual([Array.from({ length: 30 }, (_, i) => [i, i % 3 === 1 ? 'Server' : null])]);
});

test('messages that come before anybody listens are kept', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      const worker = cluster.fork();
      for (let i = 0; i < 100; i++) worker.send(i);
      // One that is not for `message`.
      worker.send({ cmd: 'NODE_AFTER_THEM' });
      const [got] = await once(worker, 'message');
      report(got);
      worker.disconnect();
    },
    async worker({ cluster, once }) {
      await once(process, 'internalMessage');
      const got = [];
      cluster.worker.on('message', (message) => {
        got.push(message);
        if (got.length === 100) process.send(got);
      });
    },
  });
  expect(primary).toEqual([Array.from({ length: 100 }, (_, i) => i)]);
});

test.each(['process', 'cluster.worker'])('a listener on %s that throws loses no other message', async (listener) => {
  const { primary, exit } = await compare({
    primary({ cluster, report }) {
      process.on('uncaughtException', (thrown) => report(['primary', thrown]));
      const worker = cluster.fork();
      worker.on('message', (message) => {
        if (message === 'ready') for (let i = 0; i < 5; i++) worker.send(i);
        if (message === 4) worker.disconnect();
        throw message;
      });
    },
    worker({ args, cluster }) {
      process.on('uncaughtException', (thrown) => process.send(thrown));
      (args === 'process' ? process : cluster.worker).on('message', (message) => {
        throw message;
      });
      process.send('ready');
    },
  }, { args: listener });
  expect(primary).toEqual(['ready', 0, 1, 2, 3, 4].map((thrown) => ['primary', thrown]));
  expect(exit).toEqual(OK);
});

test('what is sent before disconnect() is delivered, however much', async () => {
  const { primary, worker } = await runScenario({
    async primary({ forkReady, report }) {
      const child = await forkReady();
      child.on('message', (message) => report(['got', message.length ?? message]));
      child.on('disconnect', () => report('disconnect'));
      for (let i = 0; i < 100; i++) child.send(i);
      child.send('x'.repeat(5 << 20));
      child.process.disconnect();
    },
    worker({ report }) {
      let count = 0;
      process.on('message', (message) => {
        count++;
        if (message.length) report([count, message.length]);
      });
      process.on('exit', (code) => report(['exit', code]));
      process.send('ready');
    },
  });
  expect(worker).toEqual([[101, 5 << 20], ['exit', 0]]);
  expect(primary).toEqual(['disconnect']);
});

describe('process.exit() right after send', () => {
  /** @returns what arrives: lengths of long strings, numbers as they are */
  const run = (worker) => runScenario({
    async primary({ cluster, once, report }) {
      const child = cluster.fork();
      const got = [];
      child.on('message', (message) => got.push(message.length ?? message));
      const [code] = await once(child, 'exit');
      if (child.isConnected()) await once(child, 'disconnect');
      report({ code, count: got.length, got: got.slice(0, 20), inOrder: got.every((value, i) => value >= (got[i - 1] ?? 0)) });
    },
    worker,
  });

  test('delivers a small message', async () => {
    const { primary } = await run(() => {
      process.send(1);
      process.exit(3);
    });
    expect(primary).toMatchObject([{ code: 3, got: [1] }]);
  });

  test('delivers small ones, and one of 1 MB', async () => {
    const { primary } = await run(() => {
      process.send(1);
      process.send(2);
      process.send('x'.repeat(1 << 20));
      process.send('y'.repeat((1 << 20) + 1));
      process.exit();
    });
    expect(primary).toMatchObject([{ code: 0, got: [1, 2, 1 << 20, (1 << 20) + 1] }]);
  });

  test('delivers 50,000', async () => {
    const { primary } = await run(() => {
      for (let i = 0; i < 50_000; i++) process.send(i);
      process.exit();
    });
    expect(primary).toMatchObject([{ code: 0, count: 50_000, inOrder: true }]);
  });

  test('delivers what is sent from listeners of exit, and after an exception', async () => {
    const { primary } = await run(() => {
      process.on('exit', () => {
        process.send(2);
        process.send(3);
        process.send('x'.repeat(1 << 20));
        process.send('y'.repeat((1 << 20) + 1));
      });
      process.send(1);
      throw new Error('on purpose');
    });
    expect(primary).toMatchObject([{ code: 1, got: [1, 2, 3, 1 << 20, (1 << 20) + 1] }]);
  });
});

test('what a primary sends right before it exits is delivered', async () => {
  const { worker } = await runScenario({
    async primary({ forkReady }) {
      const child = await forkReady();
      for (let i = 0; i < 10; i++) child.send(i);
      process.exit();
    },
    worker({ report }) {
      const got = [];
      process.on('message', (message) => got.push(message));
      process.on('exit', () => report(got));
      process.send('ready');
    },
  });
  expect(worker).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
});
