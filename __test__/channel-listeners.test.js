'use strict';

// What is delivered does not depend on what listeners do: they end the channel, throw, come late, go, or never come.

const { compare, runScenario } = require('./helpers/scenario');

/** Several messages in one read: the primary does not turn its loop until the worker has written them. */
const together = (args) => ({
  async primary({ args, cluster, once, report }) {
    const { existsSync, readFileSync, writeFileSync } = require('node:fs');
    const { ticksOf } = require('../helpers/proc');
    const worker = cluster.fork();
    process.on('uncaughtException', (error) => report(['uncaught', error]));
    await once(worker, 'online');
    // From here on the loop does not turn until the worker sleeps, having sent all.
    writeFileSync(`${args.mark}.go`, '');
    while (!existsSync(args.mark) || !/\) S/.test(readFileSync(`/proc/${worker.process.pid}/stat`, 'utf8')));
    const got = [];
    worker.on('message', (message) => {
      got.push(message);
      if (message === 1) new Function('worker', 'process', args.then)(worker.process, process);
    });
    worker.process.on('disconnect', () => report(['disconnect', got]));
    await once(worker, 'exit');
    report(got);
    // Nothing is left to do: the process uses no time.
    const before = ticksOf(process.pid);
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    report(ticksOf(process.pid) - before < 15);
  },
  worker({ args }) {
    while (!require('node:fs').existsSync(`${args.mark}.go`));
    for (let i = 0; i < 30; i++) process.send(args.mixed && (i === 3 || i === 17) ? { text: 'x'.repeat(20_000), i } : i);
    setImmediate(() => require('node:fs').writeFileSync(args.mark, ''));
    process.on('disconnect', () => process.exit());
  },
  ...args,
});

let marks = 0;
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const folder = mkdtempSync(path.join(tmpdir(), 'rcluster-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['disconnects', 'worker.disconnect()', false],
  ['disconnects, with different kinds of frames behind', 'worker.disconnect()', true],
  ['disconnects and throws', "worker.disconnect(); throw 'on purpose'", false],
  ['throws', "setTimeout(() => worker.disconnect(), 500); throw 'on purpose'", false],
])('a listener %s: what had been read is delivered, then the end, and the process rests', async (_, then, mixed) => {
  const { primary } = await runScenario(together(), { args: { then, mixed, mark: path.join(folder, `${marks++}`) } });
  const lengthOf = (entry) => (Array.isArray(entry) ? entry.length : entry);
  const all = primary.find((entry) => entry[0] === 'disconnect')[1];
  expect(all.map((message) => message.i ?? message)).toEqual(Array.from({ length: 30 }, (__, i) => i));
  expect(lengthOf(primary.at(-2))).toBe(30);
  expect(primary.at(-1)).toBe(true);
  expect(primary.filter((entry) => entry[0] === 'uncaught').length).toBe(then.includes('throw') ? 1 : 0);
});

test('the same in a worker', async () => {
  const { worker } = await runScenario({
    async primary({ args, cluster, once }) {
      const child = cluster.fork();
      for (let i = 0; i < 30; i++) child.send(i === 3 || i === 17 ? { text: 'x'.repeat(20_000), i } : i);
      setImmediate(() => require('node:fs').writeFileSync(args, ''));
      await once(child, 'exit');
    },
    worker({ args, cluster, report }) {
      while (!require('node:fs').existsSync(args));
      cluster.worker.exitedAfterDisconnect = true;
      const got = [];
      process.on('message', (message) => {
        got.push(message.i ?? message);
        if (message === 1) process.disconnect();
      });
      process.on('disconnect', () => report(got));
    },
  }, { args: path.join(folder, `${marks++}`) });
  expect(worker).toEqual([Array.from({ length: 30 }, (_, i) => i)]);
});

test('a listener of disconnect that throws does not take close away', async () => {
  const { primary } = await compare({
    async primary({ cluster, report }) {
      process.on('uncaughtException', (error) => report(['uncaught', error]));
      const worker = cluster.fork();
      worker.process.on('disconnect', () => { throw 'on purpose'; });
      worker.process.on('close', (code) => report(['close', code]));
    },
    worker() {
      process.disconnect();
    },
  });
  expect(primary).toContainEqual(['close', 0]);
});

/** A worker that does not listen until the primary says so by a signal of its own: a file. */
const late = (listen) => runScenario({
  async primary({ args, cluster, once, report, until }) {
    const { existsSync, writeFileSync } = require('node:fs');
    const worker = cluster.fork({ MARK: args.mark });
    await once(worker, 'online');
    for (let i = 1; i <= 3; i++) worker.send(i);
    worker.send({ cmd: 'NODE_ALL_SENT' });
    await until(() => existsSync(`${args.mark}.got`));
    worker.on('message', report);
    writeFileSync(args.mark, '');
    await once(worker, 'message');
    for (let i = 4; i <= 5; i++) worker.send(i);
    worker.send('end');
    await once(worker, 'exit');
  },
  async worker({ args, cluster, once, until }) {
    const { existsSync, writeFileSync } = require('node:fs');
    process.on('uncaughtException', () => {});
    await once(process, 'internalMessage');
    writeFileSync(`${process.env.MARK}.got`, '');
    await until(() => existsSync(process.env.MARK));
    new Function('process', 'worker', args.listen)(process, cluster.worker);
  },
}, { args: { listen, mark: path.join(folder, `${marks++}`) } });

const TELL = "process.send(m); if (m === 'end') process.disconnect();";

test.each([
  ['throws in the first message', `let first = true; process.on('message', (m) => { ${TELL} if (first) { first = false; throw new Error('on purpose'); } })`],
  ['throws in each message', `process.on('message', (m) => { ${TELL} throw new Error('on purpose'); })`],
  ['listens on cluster.worker', `worker.on('message', (m) => { ${TELL} })`],
  ['comes after all others, and Node\'s own, were removed', `process.removeAllListeners('message'); process.on('message', (m) => { ${TELL} })`],
  ['comes after everything was removed', `process.removeAllListeners(); const alive = setInterval(() => {}, 1000); process.on('message', (m) => { ${TELL} if (m === 'end') clearInterval(alive); }); process.send(0)`],
  ['was prepended', `process.prependListener('message', (m) => { ${TELL} })`],
])('a listener that comes late and %s hears everything, in order', async (_, listen) => {
  const { primary } = await late(listen);
  expect(primary.filter((message) => message !== 0)).toEqual([1, 2, 3, 4, 5, 'end']);
});

test('what nobody listens for after somebody has is dropped', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      worker.send('first');
      report(await once(worker, 'message'));
      for (let i = 0; i < 5; i++) worker.send(i);
      worker.send({ cmd: 'NODE_ALL_SENT' });
      report(await once(worker, 'message'));
      worker.send('last');
      report(await once(worker, 'message'));
      worker.disconnect();
    },
    async worker({ once }) {
      const all = once(process, 'internalMessage');
      process.send('ready');
      const [first] = await once(process, 'message');
      process.send(first);
      await (process.listenerCount('internalMessage') > 1 ? all : once(process, 'internalMessage'));
      const last = once(process, 'message');
      process.send('listening');
      process.send((await last)[0]);
    },
  });
  expect(primary).toEqual([['first', null], ['listening', null], ['last', null]].map(([message]) => [message, null]));
});

test('what is kept for a worker that never listens is bounded, and is the first', async () => {
  const { primary } = await runScenario({
    async primary({ forkReady, once, report }) {
      const { readFileSync } = require('node:fs');
      const rss = (pid) => /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1] / 1024;
      const worker = await forkReady();
      const before = rss(worker.process.pid);
      for (let i = 0; i < 200; i++) await new Promise((resolve) => { worker.send({ i, text: `${i}`.repeat(700_000) }, resolve); });
      for (let i = 200; i < 205; i++) worker.send({ i });
      worker.send({ cmd: 'NODE_ALL_SENT' });
      const [got] = await once(worker, 'message');
      report(rss(worker.process.pid) - before);
      report(got);
      worker.disconnect();
    },
    async worker({ once }) {
      process.send('ready');
      await once(process, 'internalMessage');
      const got = [];
      process.on('message', ({ i }) => got.push(i));
      setImmediate(() => process.send(got));
    },
  });
  const [grown, got] = primary;
  expect(grown).toBeLessThan(150);
  expect(got.length).toBeGreaterThan(5);
  expect(got.length).toBeLessThan(100);
  expect(got).toEqual(got.map((_, i) => i));
});

test('5,000 messages right after fork() are all there', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      const worker = cluster.fork();
      for (let i = 0; i < 5000; i++) worker.send(i);
      worker.send({ cmd: 'NODE_ALL_SENT' });
      report((await once(worker, 'message'))[0]);
      worker.disconnect();
    },
    async worker({ once }) {
      await once(process, 'internalMessage');
      let count = 0;
      process.on('message', () => count++);
      setTimeout(() => process.send(count), 10);
    },
  });
  expect(primary).toEqual([5000]);
});
