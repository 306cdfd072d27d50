'use strict';

// What a worker, or the primary, starts gets nothing of what the two share: neither descriptors nor variables.

const { compare, runScenario } = require('./helpers/scenario');

/** A program that says what it has got: as a child process, or in a thread. */
const scenario = {
  async primary({ cluster, once, report }) {
    const look = require('./look');
    const worker = cluster.fork();
    const message = once(worker, 'message');
    report(await look.fromChildren());
    report((await message)[0]);
    worker.process.kill();
  },
  async worker() {
    const look = require('./look');
    process.send({ ...(await look.fromChildren()), thread: await look.fromThread() });
  },
};

test('child processes and threads of a worker, and children of the primary', async () => {
  const { primary: [ofPrimary, ofWorker] } = await compare(scenario);
  const clean = { cluster: { isPrimary: true, isWorker: false, worker: null }, execArgv: [], options: null, variables: [] };
  for (const children of [ofPrimary, ofWorker]) {
    expect(children.spawned).toMatchObject({ ...clean, sockets: 0, memory: 0, connected: false });
    // It has a channel to its parent, which is Node's own.
    expect(children.forked).toMatchObject({ ...clean, memory: 0, connected: true });
    expect(children.executed).toMatchObject({ ...clean, memory: 0 });
  }
  expect(ofWorker.thread).toMatchObject(clean);
});

test('a cluster started by a worker is a cluster of its own', async () => {
  const { primary, exit } = await runScenario({
    async primary({ cluster, once, report }) {
      const worker = cluster.fork();
      report((await once(worker, 'message'))[0]);
      worker.disconnect();
    },
    worker({ side }) {
      const { spawn } = require('node:child_process');
      const program = `
        const cluster = require(${JSON.stringify(side === 'builtin' ? 'node:cluster' : process.cwd())});
        if (cluster.isPrimary) {
          cluster.fork().on('message', (message) => {
            console.log(JSON.stringify([message, cluster.rcluster.native]));
            cluster.disconnect();
          });
        } else {
          process.send([cluster.worker.id, cluster.rcluster.native]);
        }`;
      const file = require('node:path').join(require('node:fs').mkdtempSync(`${require('node:os').tmpdir()}/rcluster-`), 'inner.js');
      require('node:fs').writeFileSync(file, program);
      const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.once('data', (data) => process.send(JSON.parse(data)));
      child.on('exit', () => require('node:fs').rmSync(require('node:path').dirname(file), { recursive: true }));
    },
  });
  expect(primary).toEqual([[[1, true], true]]);
  expect(exit).toEqual({ code: 0, signal: null });
});
