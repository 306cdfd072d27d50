'use strict';

// What was sent is written when a process ends, however it ends and whatever it did to its listeners.

const { runScenario } = require('./helpers/scenario');

const COUNT = 100;

/** What arrives of a burst from a worker that then does `end`. */
const run = (end, args = {}) => runScenario({
  async primary({ cluster, once, report }) {
    const worker = cluster.fork();
    const got = [];
    worker.on('message', (message) => got.push(message.i));
    const [code, signal] = await once(worker, 'exit');
    if (worker.isConnected()) await once(worker, 'disconnect');
    report({ code, signal, inOrder: got.every((i, index) => i === index), count: got.length });
  },
  worker({ args, cluster }) {
    const burst = (from = 0) => {
      for (let i = 0; i < args.count; i++) process.send({ i: from + i, text: 'x'.repeat(args.length) });
    };
    new Function('process', 'cluster', 'burst', 'require', args.end)(process, cluster, burst, require);
  },
}, { args: { count: COUNT, length: 1, ...args, end } });

test.each([
  ['exits', 'burst(); process.exit()', { code: 0 }],
  ['removes the listeners of exit, and exits', "process.removeAllListeners('exit'); burst(); process.exit(3)", { code: 3 }],
  ['removes all listeners, and exits', 'process.removeAllListeners(); burst(); process.exit()', { code: 0 }],
  ['removes the listeners of exit, and throws', "process.removeAllListeners('exit'); burst(); throw new Error('on purpose')", { code: 1 }],
  ['removes the listeners of exit, and rejects', "process.removeAllListeners('exit'); burst(); Promise.reject(new Error('on purpose'))", { code: 1 }],
  ['calls process.reallyExit', 'burst(); process.reallyExit(4)', { code: 4 }],
  ['kills itself', "burst(); process.kill(process.pid, 'SIGKILL')", { code: null, signal: 'SIGKILL' }],
  ['sends in a listener of exit', "process.on('exit', () => burst()); process.exit()", { code: 0 }],
  ['sends in a listener of exit, at its natural end', "process.channel.unref(); process.on('exit', () => burst()); process.exitCode = 5", { code: 5 }],
  ['sends in a listener of exit, after an exception', "process.on('exit', () => burst()); throw new Error('on purpose')", { code: 1 }],
  ['sends in a listener of beforeExit', "process.channel.unref(); process.once('beforeExit', () => burst())", { code: 0 }],
  ['emits exit itself, and goes on', "process.emit('exit', 0); burst(); setTimeout(() => process.exit(6))", { code: 6 }],
])('a worker that %s has sent all of a burst', async (_, end, expected) => {
  const { primary } = await run(end);
  expect(primary).toEqual([{ signal: null, ...expected, inOrder: true, count: COUNT }]);
});

// More than the kernel takes at once.
test.each([
  ['exits', 'burst(); process.exit()'],
  ['removes the listeners of exit, and exits', "process.removeAllListeners('exit'); burst(); process.exit()"],
  ['has no other reason to live', 'burst(); process.channel.unref()'],
  ['removes the listeners of exit, and has no other reason to live', "process.removeAllListeners('exit'); burst(); process.channel.unref()"],
])('a worker that %s writes a long burst to its end', async (_, end) => {
  const { primary } = await run(end, { length: 30_000 });
  expect(primary).toEqual([{ code: 0, signal: null, inOrder: true, count: COUNT }]);
});

test('a program that emits exit goes on sending as before', async () => {
  const { primary } = await runScenario({
    async primary({ forkReady, once, report }) {
      const worker = await forkReady();
      worker.send('go');
      const [text] = await once(worker, 'message');
      report(text.length);
      worker.send('more');
      report((await once(worker, 'message'))[0]);
      worker.disconnect();
    },
    worker() {
      process.on('message', (message) => process.send(message === 'go' ? 'x'.repeat(3 << 20) : message));
      process.emit('exit', 0);
      // When a process that really ends would have waited long enough.
      setTimeout(() => process.send('ready'), 1100);
    },
  });
  expect(primary).toEqual([3 << 20, 'more']);
});
