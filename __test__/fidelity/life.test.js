'use strict';

// What the primary sees of a worker's life, in which order, with the built-in module and with rcluster.

const { compare } = require('../helpers/scenario');

/**
 * Forks a worker for each of `args` (an expression for what the primary does with it, and what the worker does), and reports
 * each event with what can be seen at that moment.
 */
const lives = {
  async primary({ args, cluster, once, report, until }) {
    process.on('warning', () => {});
    for (const [act, code] of args) {
      const worker = cluster.fork({ CODE: code });
      const seen = [];
      const see = (name, ...rest) => seen.push([
        name, worker.state, worker.isDead(), worker.isConnected(), worker.exitedAfterDisconnect ?? null, worker.id in cluster.workers, ...rest,
      ]);
      for (const event of ['online', 'listening', 'disconnect', 'exit', 'error']) {
        worker.on(event, (...rest) => see(event, ...(event === 'exit' ? rest : event === 'error' ? [rest[0].code] : [])));
        const onCluster = (one) => one === worker && see(`cluster ${event}`);
        if (event !== 'error') cluster.on(event, onCluster);
      }
      worker.on('message', (message) => see(`message ${message}`));
      await new Function('worker', 'cluster', 'once', 'see', 'until', `return (async () => { ${act} })()`)(worker, cluster, once, see, until);
      if (!worker.isDead()) await once(worker, 'exit');
      await until(() => !worker.isConnected());
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      report([act, code, seen]);
      cluster.removeAllListeners();
    }
  },
  worker() {
    const net = require('node:net');
    const cluster = require('node:cluster');
    new Function('require', 'net', 'cluster', process.env.CODE)(require, net, cluster);
  },
};

const LISTEN = 'net.createServer().listen(0);';
const AFTER_LISTENING = (code) => `net.createServer().listen(0, () => setTimeout(() => { ${code} }, 50));`;
const LONG = 60_000;

test('ends by the worker\'s own doing', async () => {
  const { primary } = await compare(lives, {
    args: [
      ['', 'process.exit(0)'],
      ['', 'process.exit(3)'],
      ['', 'setTimeout(() => process.exit(5), 50)'],
      ['', 'process.disconnect()'],
      ['', 'cluster.worker.disconnect()'],
      ['', 'cluster.worker.kill()'],
      ['', AFTER_LISTENING('process.exit(4)')],
      ['', AFTER_LISTENING('process.disconnect()')],
      ['', AFTER_LISTENING('cluster.worker.disconnect()')],
      ['', AFTER_LISTENING('cluster.worker.destroy()')],
      ['', AFTER_LISTENING("process.kill(process.pid, 'SIGKILL')")],
    ],
    timeout: LONG,
  });
  expect(primary.length).toBe(11);
}, LONG);

test('ends that the primary brings about', async () => {
  const { primary } = await compare(lives, {
    args: [
      ["await once(worker, 'listening'); worker.disconnect()", LISTEN],
      ["await once(worker, 'listening'); worker.disconnect(); see('called')", LISTEN],
      ["await once(worker, 'listening'); worker.kill()", LISTEN],
      ["await once(worker, 'listening'); worker.destroy('SIGKILL')", LISTEN],
      ["await once(worker, 'listening'); worker.process.kill('SIGKILL')", LISTEN],
      ["await once(worker, 'listening'); worker.process.disconnect()", LISTEN],
      ["await once(worker, 'listening'); cluster.disconnect(() => see('all'))", LISTEN],
      ["await once(worker, 'exit'); worker.disconnect(); worker.kill(); worker.destroy()", 'process.exit(0)'],
      ["await once(worker, 'exit'); await until(() => !worker.isConnected()); worker.disconnect(); see('called'); cluster.disconnect(() => see('all'))", 'process.exit(0)'],
      ["await once(worker, 'online'); worker.disconnect()", 'setTimeout(() => {}, 30)'],
    ],
    timeout: LONG,
  });
  expect(primary.length).toBe(10);
}, LONG);

test('a worker that cannot be started', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report, until }) {
      cluster.setupPrimary({ cwd: '/no/such/folder' });
      const worker = cluster.fork();
      const seen = [];
      const see = (name) => seen.push([name, worker.state, worker.isDead(), worker.isConnected(), worker.id in cluster.workers]);
      for (const event of ['online', 'disconnect', 'exit']) worker.on(event, () => see(event));
      worker.on('error', ({ code }) => see(code));
      see('forked');
      await once(cluster, 'disconnect');
      worker.disconnect();
      await until(() => Object.keys(cluster.workers).length === 0);
      report(seen);
      cluster.disconnect(() => report('all'));
    },
  });
  expect(primary.at(-1)).toBe('all');
});
