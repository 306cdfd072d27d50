'use strict';

// Many bytes: `send` says when to stop, and a message of hundreds of megabytes costs little more than itself.

const { compare, runScenario } = require('./helpers/scenario');

const MB = 1 << 20;
const LARGE = 60_000;

test('send returns false while more than 128 KiB wait, and true again when they are written', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      const { pid } = worker.process;
      process.kill(pid, 'SIGSTOP');
      const text = 'x'.repeat(64 * 1024);
      // The kernel takes some; how much is its own affair.
      let taken = 0;
      while (worker.send(text) && taken < 100) taken++;
      report(taken < 100);
      for (let i = 0; i < 10; i++) report(worker.send(i));
      process.kill(pid, 'SIGCONT');
      await new Promise((resolve) => { worker.send('last', resolve); });
      report(worker.send('more'));
      await once(worker, 'message');
      worker.disconnect();
    },
    worker() {
      process.on('message', (message) => message === 'more' && process.send('got all'));
      process.send('ready');
    },
  });
  expect(primary).toEqual([true, ...Array(10).fill(false), true]);
});

test('what waits for a worker that reads nothing is kept once, and a callback tells of each message', async () => {
  const { primary } = await runScenario({
    async primary({ forkReady, report }) {
      const worker = await forkReady();
      process.kill(worker.process.pid, 'SIGSTOP');
      const before = process.memoryUsage().rss;
      let called = 0;
      const bytes = 64 * 1024;
      for (let i = 0; i < 1000; i++) worker.send('x'.repeat(bytes), () => called++);
      await new Promise((resolve) => { setImmediate(resolve); });
      const early = called;
      report((process.memoryUsage().rss - before) / (1000 * bytes));
      process.kill(worker.process.pid, 'SIGCONT');
      await new Promise((resolve) => { worker.send('last', resolve); });
      report([early < 1000, called]);
      worker.disconnect();
    },
    worker() {
      process.on('message', () => {});
      process.send('ready');
    },
  }, { execArgv: ['--max-semi-space-size=1'] });
  const [times, called] = primary;
  expect(times).toBeLessThan(3);
  expect(called).toEqual([true, 1000]);
});

/** A primary that sends what `make` makes, and reports what came back and the most memory (MB) that both ever used. */
const large = (serialization, make) => runScenario({
  async primary({ args, cluster, forkReady, once, report }) {
    const fs = require('node:fs');
    const most = (pid) => /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1] / 1024;
    cluster.setupPrimary({ serialization: args.serialization });
    const worker = await forkReady();
    const before = [most(process.pid), most(worker.process.pid)];
    worker.send(new Function(`return ${args.make}`)());
    const [answer] = await once(worker, 'message');
    report({ ...answer, sender: most(process.pid) - before[0], receiver: most(worker.process.pid) - before[1] });
    worker.disconnect();
  },
  worker() {
    process.on('message', (message) => {
      let wrong = 0;
      for (let i = 0; i < message.length; i += 4097) if (message[i] !== 7 && message[i] !== 'x') wrong++;
      process.send({ length: message.length, wrong });
    });
    process.send('ready');
  },
}, { args: { serialization, make }, timeout: LARGE });

test('a message of 256 MB in V8\'s format: one copy at the receiver, two at the sender', async () => {
  const { primary: [got] } = await large('advanced', `Buffer.alloc(256 * ${MB}, 7)`);
  expect(got).toMatchObject({ length: 256 * MB, wrong: 0 });
  expect(got.receiver).toBeLessThan(1.2 * 256);
  expect(got.sender).toBeLessThan(2.2 * 256);
}, LARGE);

test('a text of 200 million characters as JSON: no more memory than its text, its JSON and its bytes', async () => {
  const { primary: [got] } = await large('json', "'x'.repeat(200e6)");
  expect(got).toMatchObject({ length: 200e6, wrong: 0 });
  expect(got.receiver).toBeLessThan(3.2 * 200);
  expect(got.sender).toBeLessThan(4.4 * 200);
}, LARGE);

test('a text of more than 512 MiB in UTF-8 arrives, by itself and within an object', async () => {
  const { primary } = await runScenario({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      const text = 'é'.repeat(270e6);
      for (const message of [text, { text }]) {
        worker.send(message);
        report((await once(worker, 'message'))[0]);
      }
      worker.disconnect();
    },
    worker() {
      process.on('message', (message) => {
        const text = message.text ?? message;
        process.send([typeof message, text.length, text[0], text[text.length >> 1], text.at(-1)]);
      });
      process.send('ready');
    },
  }, { timeout: 5 * LARGE });
  expect(primary).toEqual(['string', 'object'].map((type) => [type, 270e6, 'é', 'é', 'é']));
}, 5 * LARGE);
