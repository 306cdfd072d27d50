'use strict';

// Values of `maxConnections`, as the Node that runs understands them, with the built-in module and with rcluster.

const { compare } = require('../helpers/scenario');

const LONG = 60_000;

/**
 * Some workers for each of `args` (expressions for what is done with their servers): whether the first ever answers. A busy
 * machine may keep any of them from its turn for a while.
 */
const limits = {
  async primary({ args, cluster, once, report }) {
    const { ask } = require('./serving');
    for (const settings of args) {
      const workers = settings.map((SETTING) => cluster.fork({ SETTING }));
      let drops = 0;
      for (const worker of workers) worker.on('message', (message) => message === 'drop' && drops++);
      const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
      // Until `accepting` has been seen as well.
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      const answers = [];
      const first = `${workers[0].id}`;
      while (answers.length < 24 && !answers.includes(first)) answers.push((await ask(port)).replace('ECONNRESET', ''));
      report([settings, answers.includes(first), answers.filter((answer) => answer === '').length, drops]);
      await Promise.all(workers.map((worker) => (worker.process.kill('SIGKILL'), once(worker, 'exit'))));
    }
  },
  worker({ cluster }) {
    const server = require('node:net').createServer((socket) => socket.on('error', () => {}).end(`${cluster.worker.id}`));
    server.on('drop', () => process.send('drop'));
    server.listen(0, '127.0.0.1', () => new Function('server', process.env.SETTING)(server));
  },
};

test('two workers, one with a limit: nobody is refused', async () => {
  const values = ['0', '-1', 'NaN', 'undefined', 'null', "''", "'0'", "'5'", "'x'", 'false', 'true', '0.5', 'Infinity', '[]', '{}', '1e9'];
  const { primary } = await compare(limits, { args: values.map((value) => [`server.maxConnections = ${value}`, '']), timeout: LONG });
  expect(primary.map(([, , refused]) => refused)).toEqual(values.map(() => 0));
}, LONG);

test('a worker that drops what is too much', async () => {
  const { primary } = await compare(limits, {
    // On Node 20 the built-in does not know `dropMaxConnection`, and tries the same worker for ever.
    args: process.versions.node.startsWith('20.') ? [] : [['server.maxConnections = 0; server.dropMaxConnection = true']],
    timeout: LONG,
  });
  expect(primary.every(([, answered, refused, drops]) => !answered && refused === 24 && drops === 24)).toBe(true);
}, LONG);

test('a limit that changes while the server runs', async () => {
  const later = (value) => `setTimeout(() => { server.maxConnections = ${value}; }, 20)`;
  await compare(limits, { args: [[later(0), ''], [`server.maxConnections = -1; ${later('undefined')}`, ''], [later(-1), 'server.maxConnections = 1']], timeout: LONG });
}, LONG);

test('several servers of a worker have limits of their own', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const { ask } = require('./serving');
      const [one, two] = [cluster.fork({ FIRST: '-1' }), cluster.fork({ FIRST: '5' })];
      const [ports] = (await Promise.all([once(one, 'message'), once(two, 'message')]))[0];
      await new Promise((resolve) => { setTimeout(resolve, 100); });
      for (const port of ports) {
        const answers = new Set();
        for (let i = 0; i < 24 && answers.size < 2; i++) answers.add(await ask(port));
        report([...answers].sort());
      }
      for (const worker of [one, two]) worker.process.kill('SIGKILL');
    },
    worker({ cluster }) {
      const { once } = require('node:events');
      const net = require('node:net');
      void (async () => {
        const ports = [];
        for (const limit of [Number(process.env.FIRST), 9]) {
          const server = net.createServer((socket) => socket.on('error', () => {}).end(`${cluster.worker.id}`)).listen(0, '127.0.0.1');
          server.maxConnections = limit;
          await once(server, 'listening');
          ports.push(server.address().port);
        }
        process.send(ports);
      })();
    },
  }, { timeout: LONG });
  expect(primary).toEqual([['2'], ['1', '2']]);
}, LONG);
