'use strict';

// The end of a channel, and what keeps it open.

const { compare, echo, runScenario } = require('./helpers/scenario');

const DISCONNECTED = {
  name: 'Error', code: 'ERR_IPC_DISCONNECTED', message: 'IPC channel is already disconnected', type: '[object Error]',
};
const CLOSED = { name: 'Error', code: 'ERR_IPC_CHANNEL_CLOSED', message: 'Channel closed', type: '[object Error]' };

test('after worker.process.disconnect() nothing can be sent, and a second call is an error', async () => {
  const { primary } = await compare({
    async primary({ cluster, describe, forkReady, report }) {
      const worker = await forkReady();
      const { process: child } = worker;
      worker.on('error', (error) => report(['error', describe(error)]));
      child.on('disconnect', () => report(['disconnect', child.connected, child.channel]));
      cluster.on('exit', () => {
        report(['exit', worker.send('m'), child.connected, child.channel]);
        worker.send('m', (error) => report(['callback', describe(error)]));
      });
      child.disconnect();
      report([worker.isConnected(), child.connected, worker.send('m')]);
      worker.send('m', (error) => report(['callback', describe(error)]));
      child.disconnect();
    },
    worker: echo,
  });
  expect(primary).toEqual([
    [false, false, false],
    ['error', DISCONNECTED],
    ['disconnect', false, null],
    ['error', CLOSED],
    ['callback', CLOSED],
    ['exit', false, false, null],
    ['error', CLOSED],
    ['callback', CLOSED],
  ]);
});

test('the same in a worker', async () => {
  const { primary, worker } = await compare({
    async primary({ cluster, once, report }) {
      const child = cluster.fork();
      child.on('message', report);
      await once(child, 'exit');
      report(child.exitedAfterDisconnect);
    },
    worker({ cluster, describe, report }) {
      // Without it the end of the channel would end the worker before the rest is told.
      cluster.worker.exitedAfterDisconnect = true;
      cluster.worker.on('error', () => {});
      process.on('error', (error) => report(['error', describe(error)]));
      process.on('disconnect', () => report(['disconnect', process.connected, process.channel]));
      process.send('before');
      process.disconnect();
      report([cluster.worker.isConnected(), process.connected, process.send('m')]);
      process.send('m', (error) => report(['callback', describe(error)]));
      process.disconnect();
    },
  });
  expect(primary).toEqual(['before', false]);
  expect(worker).toEqual([
    [false, false, false],
    ['error', DISCONNECTED],
    ['disconnect', false, null],
    ['error', CLOSED],
    ['callback', CLOSED],
  ]);
});

test('a worker that was not asked to leave ends when the channel does', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      setInterval(() => {}, 1000).unref();
      worker.process.disconnect();
      report([...(await once(worker, 'exit')), worker.exitedAfterDisconnect]);
    },
    worker() {
      setInterval(() => {}, 1000);
      process.send('ready');
    },
  });
  expect(primary).toEqual([[0, null, false]]);
});

test('a message to a worker that has just been killed is an error, for its callback or as an event', async () => {
  const { primary } = await compare({
    async primary({ describe, forkReady, report }) {
      const fs = require('node:fs');
      const worker = await forkReady();
      const { pid } = worker.process;
      worker.on('error', (error) => report(['error', describe(error)]));
      worker.on('disconnect', () => report('disconnect'));
      process.kill(pid, 'SIGKILL');
      // Until its last thread has gone; the event loop has no chance to see it.
      while (!/\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')) || fs.readdirSync(`/proc/${pid}/task`).length > 1);
      report(worker.send('first'));
      report(worker.send('second', (error) => report(['callback', describe(error)])));
    },
    worker: echo,
  });
  const error = { name: 'Error', code: 'EPIPE', message: 'write EPIPE', type: '[object Error]' };
  expect(primary).toEqual([true, true, ['error', error], ['callback', error], 'disconnect']);
});

test.each([true, false])('a worker that dies in the middle of a long message ends its channel (callbacks: %s)', async (withCallbacks) => {
  const { primary, exit, stderr } = await runScenario({
    async primary({ args, forkReady, once, report }) {
      const worker = await forkReady();
      process.kill(worker.process.pid, 'SIGSTOP');
      const called = [];
      const callback = args ? (error) => called.push(error?.code) : undefined;
      worker.send('x'.repeat(4 << 20), callback);
      worker.send('y'.repeat(4 << 20));
      worker.send('z', callback);
      process.kill(worker.process.pid, 'SIGKILL');
      await Promise.all([once(worker, 'disconnect'), once(worker, 'exit')]);
      report(called);
    },
    worker: echo,
  }, { args: withCallbacks });
  expect(primary).toEqual([withCallbacks ? ['EPIPE', 'EPIPE'] : []]);
  // Nobody has been told by an event `error` that nobody listens for.
  expect({ exit, stderr }).toEqual({ exit: { code: 0, signal: null }, stderr: [] });
});

test('messages of Node itself are kept from the event message', async () => {
  const { primary } = await compare({
    async primary({ cluster, report }) {
      const worker = cluster.fork();
      worker.on('message', (message) => report(['message', message]));
      worker.process.on('internalMessage', (message) => {
        if (message.cmd !== 'NODE_CLUSTER') report(['internalMessage', message]);
      });
    },
    worker() {
      process.send({ cmd: 'fooNODE_' });
      process.send({ cmd: 'NODE_bar', a: 1 });
      process.send({ cmd: 'NODE_' });
      process.send({ cmd: 5 });
      process.send('NODE_text');
      process.disconnect();
    },
  });
  expect(primary).toEqual([
    ['message', { cmd: 'fooNODE_' }],
    ['internalMessage', { cmd: 'NODE_bar', a: 1 }],
    ['message', { cmd: 'NODE_' }],
    ['message', { cmd: 5 }],
    ['message', 'NODE_text'],
  ]);
});

describe('the channel keeps a worker alive', () => {
  /** What a worker does to its channel before its script ends, and whether it lives on. */
  const CASES = [
    ['', true],
    ['process.channel.unref()', false],
    ['process.channel.unref(); process.channel.ref()', true],
    ["process.channel.unref(); process.on('message', () => {})", false],
    ["process.removeAllListeners('message'); process.removeAllListeners('disconnect')", false],
    ["process.removeAllListeners('message')", true],
    ["process.removeAllListeners('disconnect'); process.removeAllListeners('message'); process.once('message', () => {})", true],
    ["process.channel.ref(); process.removeAllListeners('message'); process.removeAllListeners('disconnect')", true],
  ];

  test('as long as somebody listens, or as the worker has said', async () => {
    const { primary } = await compare({
      async primary({ args: cases, cluster, once, report }) {
        const workers = cases.map(([code]) => cluster.fork({ CODE: code }));
        const exits = workers.map((worker) => once(worker, 'exit'));
        await Promise.all(workers.map((worker) => once(worker, 'online')));
        await Promise.all(exits.filter((_exit, i) => !cases[i][1]));
        for (const worker of workers) worker.process.kill();
        for (const exit of exits) report(await exit);
      },
      worker() {
        new Function(process.env.CODE)();
      },
    }, { args: CASES });
    expect(primary).toEqual(CASES.map(([, lives]) => (lives ? [null, 'SIGTERM'] : [0, null])));
  });

  test('until everything that was sent is written', async () => {
    const { primary, worker } = await compare({
      async primary({ cluster, once, report }) {
        const worker = cluster.fork();
        const [message] = await once(worker, 'message');
        report(message.length);
        report(await once(worker, 'exit'));
      },
      worker({ report }) {
        process.removeAllListeners('message');
        process.removeAllListeners('disconnect');
        process.send('x'.repeat(5 << 20), report);
      },
    });
    expect(primary).toEqual([5 << 20, [0, null]]);
    // Its callback was called, as nothing is after the end of the event loop.
    expect(worker).toEqual([null]);
  });

  test('and tells whether it does', async () => {
    const { worker } = await runScenario({
      async primary({ cluster, once }) {
        await once(cluster.fork(), 'exit');
      },
      worker({ report }) {
        const { channel } = process;
        const asked = [channel.hasRef()];
        channel.unref();
        asked.push(channel.hasRef());
        channel.ref();
        asked.push(channel.hasRef());
        channel.unref();
        report(asked);
      },
    });
    expect(worker).toEqual([[true, false, true]]);
  });
});

test('a primary that has nothing else to do waits for its workers, unless told otherwise', async () => {
  const { primary, exit } = await compare({
    async primary({ forkReady, report }) {
      const worker = await forkReady();
      worker.process.unref();
      worker.process.channel.unref();
      process.on('exit', () => report(worker.isDead()));
    },
    worker: echo,
  });
  expect(primary).toEqual([false]);
  expect(exit).toEqual({ code: 0, signal: null });
});
