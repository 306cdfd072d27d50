'use strict';

// Workers that end at awkward moments, and workers that cannot be started.

const { runScenario } = require('../helpers/scenario');

const LONG = 60_000;

test('a worker asks to listen and dies before it has the answer, while the primary is busy: the primary lives', async () => {
  const { primary, exit, stderr } = await runScenario({
    async primary({ cluster, once, report }) {
      const busy = (time) => { for (const end = Date.now() + time; Date.now() < end;); };
      for (let round = 0; round < 6; round++) {
        const worker = cluster.fork();
        // Right before it asks: its death comes while we are busy, and is seen before what it asked.
        worker.on('message', () => busy(100));
        await once(worker, 'exit');
        report('exit');
      }
    },
    worker() {
      process.send('about to listen');
      require('node:net').createServer().listen(0, '127.0.0.1');
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 3);
    },
  }, { timeout: LONG });
  expect([exit, stderr]).toEqual([{ code: 0, signal: null }, []]);
  expect(primary).toEqual(Array(6).fill('exit'));
}, LONG);

test('workers die while another begins to listen: it gets its connections', async () => {
  const { primary, stderr } = await runScenario({
    async primary({ cluster, once, report }) {
      const { ask } = require('./serving');
      const busy = (time) => { for (const end = Date.now() + time; Date.now() < end;); };
      const path = require('node:path').join(require('node:os').tmpdir(), `rcluster-ends-${process.pid}`);
      for (let round = 0; round < 12; round++) {
        const PORT = `${path}-${round}`;
        const first = cluster.fork({ ROLE: 'first', PORT });
        await once(first, 'listening');
        const idle = cluster.fork({ ROLE: 'idle' });
        const last = cluster.fork({ ROLE: 'last', PORT, FIRST: `${first.process.pid}`, IDLE: `${idle.process.pid}` });
        await Promise.all([once(idle, 'message'), once(last, 'message')]);
        last.on('message', () => busy(200));
        const listening = once(last, 'listening');
        // Both answer while we are busy: what they send, and their ends, come in one turn.
        last.send('go');
        first.send('say something');
        busy(120);
        await listening;
        report(await ask(PORT));
        const gone = [first, idle, last].map((worker) => worker.isDead() || once(worker, 'exit'));
        for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
        await Promise.all(gone);
      }
    },
    worker() {
      const net = require('node:net');
      const { ROLE, PORT, FIRST, IDLE } = process.env;
      if (ROLE === 'first') {
        process.on('message', () => process.send('something'));
        net.createServer((socket) => socket.end('first')).listen(PORT);
      } else {
        process.on('message', () => {
          process.kill(Number(IDLE), 'SIGKILL');
          net.createServer((socket) => socket.end('last')).listen(PORT, () => process.kill(Number(FIRST), 'SIGKILL'));
          process.send('asked');
        });
        process.send('up');
      }
    },
  }, { timeout: LONG });
  expect(stderr).toEqual([]);
  expect(primary).toEqual(Array(12).fill('last'));
}, LONG);

test('forks that fail, at once or later, leave no descriptor and nobody in the list', async () => {
  const { primary, exit } = await runScenario({
    async primary({ cluster, once, report, until }) {
      const { readdirSync } = require('node:fs');
      const open = () => readdirSync('/proc/self/fd').length;
      // What is opened once, for the first of all workers.
      const first = cluster.fork();
      await once(first, 'online');
      first.process.kill('SIGKILL');
      await once(first, 'exit');
      await until(() => !first.isConnected());
      const before = open();
      let thrown = 0;
      for (let i = 0; i < 50; i++) {
        try {
          cluster.fork({ BAD: Symbol('x') });
        } catch {
          thrown++;
        }
      }
      // Some are closed by a thread of their own.
      await until(() => open() <= before);
      report(thrown);
      cluster.setupPrimary({ cwd: '/no/such/folder' });
      let failed = 0;
      for (let i = 0; i < 50; i++) cluster.fork().on('error', () => failed++);
      await until(() => failed === 50 && Object.keys(cluster.workers).length === 0 && open() <= before);
      report(failed);
    },
    worker() {},
  });
  expect([primary, exit.code]).toEqual([[50, 50], 0]);
});

/** The primary uses its descriptors up, all but `args`. */
const full = {
  primary({ args: [left, ...rest], cluster, once, report, until }) {
    const fs = require('node:fs');
    const opened = [];
    const fill = () => {
      try {
        for (;;) opened.push(fs.openSync('/dev/null', 'r'));
      } catch {
        for (let i = 0; i < left; i++) fs.closeSync(opened.pop());
      }
    };
    const free = () => opened.splice(0).forEach((fd) => fs.closeSync(fd));
    return new Function('require', 'cluster', 'once', 'report', 'until', 'fill', 'free', 'fs', `return (async () => { ${rest[0]} })()`)(
      require, cluster, once, report, until, fill, free, fs,
    );
  },
  worker({ report }) {
    const net = require('node:net');
    const server = net.createServer((socket) => socket.end('served')).on('error', ({ code }) => {
      report(code);
      process.send(code);
    });
    process.on('message', () => server.listen(0, '127.0.0.1'));
    process.send('up');
  },
};

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])('a fork with %i descriptors left: an error of the worker, later, or a worker; the next succeeds', async (left) => {
  const { primary, exit, stderr } = await runScenario(full, {
    descriptors: 64,
    args: [left, `
      const before = fs.readdirSync('/proc/self/fd').length;
      fill();
      const worker = cluster.fork();
      let outcome;
      worker.on('error', (error) => (outcome = error.code));
      worker.on('message', () => (outcome = 'up'));
      worker.send('nobody may hear it', () => {});
      const during = outcome;
      await until(() => outcome);
      free();
      report([during ?? null, outcome]);
      worker.process.kill('SIGKILL');
      await until(() => Object.keys(cluster.workers).length === 0);
      const next = cluster.fork();
      await once(next, 'message');
      next.process.kill('SIGKILL');
      await until(() => Object.keys(cluster.workers).length === 0);
      report(fs.readdirSync('/proc/self/fd').length - before <= 4);`],
  });
  expect([exit, stderr]).toEqual([{ code: 0, signal: null }, []]);
  expect(primary).toEqual([[null, expect.stringMatching(/^(EMFILE|up)$/)], true]);
}, LONG);

test.each([0, 1, 2, 3, 4])('the first listen with %i descriptors left in the primary: the server\'s error or its success; the next succeeds', async (left) => {
  const { primary, exit, stderr } = await runScenario(full, {
    descriptors: 64,
    args: [left, `
      const { ask } = require('./serving');
      const worker = cluster.fork();
      await once(worker, 'message');
      fill();
      worker.send('listen');
      const said = await Promise.race([once(worker, 'message'), once(worker, 'listening').then(() => ['listening'])]);
      free();
      report(said[0]);
      const [{ port }] = said[0] === 'listening' ? [{}] : await Promise.all([once(worker, 'listening'), worker.send('again')]).then(([one]) => one);
      if (port) report(await ask(port));
      else report('served');
      worker.process.kill('SIGKILL');`],
  });
  expect(exit).toEqual({ code: 0, signal: null });
  expect(stderr.filter((line) => !/run out of file descriptors|trace-warnings/.test(line))).toEqual([]);
  expect(primary).toEqual([expect.stringMatching(/^(EMFILE|listening)$/), 'served']);
}, LONG);
