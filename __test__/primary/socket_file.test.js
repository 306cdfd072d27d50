'use strict';

// What becomes of the file of a Unix socket when its last server has closed.

const { runScenario } = require('../helpers/scenario');

const closing = {
  async primary({ args: policy, cluster, once, report }) {
    const fs = require('node:fs');
    const net = require('node:net');
    const os = require('node:os');
    const path = require('node:path');
    const { ask } = require('./serving');
    cluster.schedulingPolicy = cluster[policy];
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-file-'));
    const [folder, elsewhere] = ['folder', 'elsewhere'].map((name) => path.join(root, name));
    const file = path.join(folder, 'socket');
    fs.mkdirSync(elsewhere);
    fs.writeFileSync(path.join(elsewhere, 'socket'), 'precious');
    const worker = cluster.fork({ FILE: file });
    await once(worker, 'message');
    const act = async (between) => {
      fs.mkdirSync(folder, { recursive: true });
      worker.send('listen');
      await once(worker, 'listening');
      report([await ask(file), fs.readdirSync(folder)]);
      await between();
      worker.send('close');
      await once(worker, 'message');
      // The primary has heard of it.
      worker.send('echo');
      await once(worker, 'message');
    };
    await act(() => {});
    report(fs.existsSync(file));
    // Another server has taken the path.
    const other = net.createServer((socket) => socket.end('other'));
    await act(() => {
      fs.unlinkSync(file);
      return once(other.listen(file), 'listening');
    });
    report(await ask(file));
    other.close();
    await once(other, 'close');
    // The folder has become a link.
    await act(() => {
      fs.renameSync(folder, `${folder}-before`);
      fs.symlinkSync(elsewhere, folder);
    });
    report(fs.readFileSync(path.join(elsewhere, 'socket'), 'utf8'));
    worker.disconnect();
    await once(worker, 'exit');
    fs.rmSync(root, { recursive: true });
  },
  worker() {
    const server = require('node:net').createServer((socket) => socket.end('served'));
    process.on('message', (message) => {
      if (message === 'listen') server.listen(process.env.FILE);
      else if (message === 'close') server.close(() => process.send('closed'));
      else process.send('echo');
    });
    process.send('up');
  },
};

const killed = {
  async primary({ args: [policy, others], cluster, once, report }) {
    const fs = require('node:fs');
    const os = require('node:os');
    const path = require('node:path');
    cluster.schedulingPolicy = cluster[policy];
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-file-'));
    const file = path.join(folder, 'socket');
    for (let i = 0; i < others; i++) await once(cluster.fork(), 'online');
    const seen = new Set();
    // Twice: its replacement finds the path free.
    for (let i = 0; i < 2; i++) {
      const worker = cluster.fork({ FILE: file });
      await once(worker, 'listening');
      const look = () => seen.add(fs.existsSync(file));
      for (const name of ['disconnect', 'exit']) for (const emitter of [worker, worker.process]) emitter.on(name, look);
      const ends = ['disconnect', 'exit'].map((name) => once(worker, name));
      worker.process.kill('SIGKILL');
      await Promise.all(ends);
    }
    report([...seen, ...fs.readdirSync(folder)]);
    cluster.disconnect();
    fs.rmSync(folder, { recursive: true });
  },
  worker() {
    if (process.env.FILE) require('node:net').createServer(() => {}).listen(process.env.FILE);
  },
};

describe.each(['SCHED_RR', 'SCHED_NONE'])('%s: it is gone when the program hears that its last worker was killed', (policy) => {
  test.each([0, 1])('beside %i workers that do not listen, as with the built-in', async (others) => {
    const runs = ['builtin', 'rcluster'].map((side) => runScenario(killed, { args: [policy, others], side }));
    for (const { primary, exit } of await Promise.all(runs)) expect([primary, exit.code]).toEqual([[[false]], 0]);
  });
});

test.each(['SCHED_RR', 'SCHED_NONE'])('%s: it is removed if it is still the same, and nothing else is', async (policy) => {
  const { primary, exit, stderr } = await runScenario(closing, { args: policy });
  expect(stderr).toEqual([]);
  const listens = ['served', ['socket']];
  expect(primary).toEqual([listens, false, listens, 'other', listens, 'precious']);
  expect(exit.code).toBe(0);
});
