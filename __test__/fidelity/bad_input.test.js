'use strict';

// Wrong settings and calls, side by side with the built-in module: what is thrown, or what becomes of the worker.

const { compare, runScenario } = require('../helpers/scenario');

/** Forks with each of the settings, written as source, and reports what came of it. */
const forks = {
  async primary({ args, cluster, describe, report }) {
    const exec = process.argv[1];
    for (const text of args) {
      const { settings, env } = new Function(`return ${text}`)();
      cluster.settings = {};
      const events = [];
      let worker;
      try {
        cluster.setupPrimary({ exec, execArgv: [], ...settings });
        worker = cluster.fork(env);
      } catch (error) {
        report([text, describe(error)]);
        continue;
      }
      await new Promise((resolve) => {
        worker.on('error', (error) => {
          events.push(['error', describe(error)]);
          if (worker.process.pid === undefined) setImmediate(resolve);
        });
        worker.on('message', (message) => events.push(['message', message]));
        worker.on('exit', (code, signal) => resolve(events.push(['exit', code, signal])));
      });
      report([text, events]);
      delete cluster.workers[worker.id];
    }
    process.exit();
  },
  worker() {
    const names = ['A', 'B', 'C', 'D'];
    process.send({ args: process.argv.slice(2), env: names.map((name) => process.env[name] ?? null) });
    process.disconnect();
  },
};

const settings = (...sources) => sources.map((source) => `({ settings: { ${source} } })`);
const environments = (...sources) => sources.map((source) => `({ env: ${source} })`);

test.each([
  ['exec', settings('exec: null', 'exec: 42', 'exec: {}', 'exec: undefined', "exec: 'a\\0b'")],
  ['args', settings("args: 'text'", 'args: 5', 'args: [5, null, true]', 'args: [Symbol()]', 'args: null')],
  ['execArgv', settings("execArgv: 'text'", 'execArgv: 5', 'execArgv: [5]', 'execArgv: {}', "execArgv: ['--no-such-option']")],
  ['cwd', settings("cwd: '/no/such/folder'", 'cwd: 5', 'cwd: {}', 'cwd: null', "cwd: 'a\\0b'", 'cwd: new URL("file:///")')],
  ['serialization', settings("serialization: 'xml'", 'serialization: 5', 'serialization: null', 'serialization: {}')],
  [
    'stdio',
    settings(
      "stdio: 'no'",
      'stdio: 5',
      'stdio: []',
      "stdio: ['inherit', 'inherit', 'inherit']",
      "stdio: ['ipc', 'ipc']",
      "stdio: ['ignore', 1, 2, 'no', 'ipc']",
      "stdio: ['ignore', 1, 2, 'pipe', 'ignore', 'ipc']",
      "stdio: ['ignore', 1, 2, 999, 'ipc']",
      'stdio: {}',
      'stdio: null',
    ),
  ],
  ['uid and gid', settings("uid: 'root'", 'uid: -1', 'uid: 1.5', 'uid: 2 ** 40', "gid: 'root'", 'gid: -1', 'gid: NaN', 'uid: null')],
  [
    'inspectPort',
    settings(
      'inspectPort: null',
      "execArgv: ['--inspect-port=0'], inspectPort: 'x'",
      "execArgv: ['--inspect-port=0'], inspectPort: -1",
      "execArgv: ['--inspect-port=0'], inspectPort: 70000",
      "execArgv: ['--inspect-port=0'], inspectPort: {}",
      "execArgv: ['--inspect-port=0'], inspectPort: () => null",
      "execArgv: ['--inspect-port=0'], inspectPort: () => { throw new RangeError('mine'); }",
      "execArgv: ['--inspect-port=0'], inspectPort: '0'",
    ),
  ],
  ['silent and windowsHide', settings("silent: 'yes', stdio: ['ignore', 1, 2, 'ipc']", 'windowsHide: 5')],
  [
    'env',
    environments(
      "'text'",
      '5',
      'null',
      '[1, 2]',
      '{ A: undefined, B: null, C: 5, D: { toString: () => "d" } }',
      "{ 'A\\0': 'x' }",
      "{ A: 'a\\0b' }",
      '{ A: Symbol() }',
      "Object.create({ A: 'inherited' }, { B: { value: 'hidden' }, C: { value: 'shown', enumerable: true } })",
    ),
  ],
])('%s', async (_, cases) => {
  const [builtin, ours] = await Promise.all(
    ['builtin', 'rcluster'].map((side) => runScenario(forks, { side, args: cases, timeout: 25_000 })),
  );
  expect(ours.primary).toEqual(builtin.primary);
  expect(ours.primary.map(([text]) => text)).toEqual(cases);
});

// Node takes such an object for the options of `fork`: the process that it starts is no worker, but another primary.
test('args that are an object are refused', async () => {
  const { primary } = await runScenario({
    primary({ cluster, outcome, report }) {
      cluster.setupPrimary({ args: { env: {} } });
      report(outcome(() => cluster.fork()));
      process.exit();
    },
  });
  expect(primary).toEqual([{ thrown: expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }) }]);
});

test('arguments of setupPrimary', async () => {
  const { primary } = await compare({
    primary({ cluster, outcome, report }) {
      for (const value of [null, undefined, 5, 'text', [], [1], () => {}, true]) {
        cluster.settings = {};
        report(outcome(() => cluster.setupPrimary(value)));
        report(Object.keys(cluster.settings));
      }
      report(outcome(() => cluster.setupPrimary({ execArgv: null })));
      report(outcome(() => cluster.setupPrimary({ execArgv: 5 })));
      report(outcome(() => cluster.setupMaster({ unknown: 1 })));
      report([cluster.settings.unknown, cluster.setupMaster === cluster.setupPrimary]);
      process.exit();
    },
  });
  expect(primary).toHaveLength(20);
});

test.each(['0', '6', "'2'", 'null', 'undefined', 'NaN', '{}', '2n'])('a policy of %s is refused', async (text) => {
  const { primary } = await compare(
    {
      primary({ args, cluster, describe, report }) {
        cluster.schedulingPolicy = new Function(`return ${args}`)();
        for (const call of [() => cluster.setupPrimary(), () => cluster.fork()]) {
          try {
            const result = call();
            report(`returned ${typeof result}`);
            result?.process.kill('SIGKILL');
          } catch (error) {
            // What follows is advice to report a bug of Node.
            const { message, ...rest } = describe(error);
            report({ ...rest, isError: error instanceof Error, isTold: message.length > 0 });
          }
        }
        process.exit();
      },
      worker() {},
    },
    { args: text },
  );
  expect(primary[0]).toMatchObject({ code: 'ERR_INTERNAL_ASSERTION' });
});

test('what a worker has of the primary, and how wrong calls end there', async () => {
  const { worker } = await compare({
    primary({ cluster }) {
      cluster.fork();
    },
    worker({ cluster, outcome, report }) {
      for (const name of ['fork', 'setupPrimary', 'setupMaster', 'disconnect']) {
        report([name, typeof cluster[name], outcome(() => cluster[name]())]);
      }
      for (const name of ['workers', 'settings', 'schedulingPolicy', 'SCHED_RR', 'isWorker', 'isPrimary', 'isMaster']) {
        report([name, name in cluster, typeof cluster[name]]);
      }
      const { worker: self } = cluster;
      report(Object.keys(self).sort());
      report([self.id, self.state, self.process === process, self.isConnected(), self.isDead()]);
      report([self instanceof cluster.Worker, self.constructor === cluster.Worker, cluster.Worker.name, cluster.Worker.length]);
      report(outcome(() => self.send()));
      report(outcome(() => self.send(Symbol('no'))));
      report(outcome(() => self.send({}, 'no handle')));
      report(outcome(() => self.send({}, undefined, 'no options')));
      report(outcome(() => process.send(() => {})));
      report([outcome(() => self.disconnect()).returned !== undefined, self.exitedAfterDisconnect, self.state]);
      process.on('disconnect', () => {
        report([self.isConnected(), process.connected, process.channel ?? null]);
        report(outcome(() => process.disconnect()));
        report(outcome(() => self.send('late', (error) => report([error.code, error.message]))));
      });
      process.on('error', (error) => report(['error', error.code, error.message]));
    },
  });
  expect(worker).not.toHaveLength(0);
});

test('workers of one\'s own making, and calls upon workers that have gone', async () => {
  await compare({
    async primary({ cluster, once, outcome, report }) {
      for (const options of [undefined, null, 5, 'text', {}, { id: 7, state: 'mine' }, { id: '7', state: '' }]) {
        const worker = new cluster.Worker(options);
        report([worker.id, worker.state, worker.exitedAfterDisconnect ?? null, Object.keys(worker).sort()]);
      }
      report(outcome(() => cluster.Worker()).returned !== undefined);
      const worker = cluster.fork();
      await once(worker, 'online');
      report(Object.keys(worker).sort());
      worker.process.kill('SIGKILL');
      await once(worker, 'exit');
      report([worker.isDead(), worker.isConnected(), worker.state, worker.exitedAfterDisconnect]);
      report(Object.keys(cluster.workers));
      report(outcome(() => worker.kill()).thrown ?? 'nothing thrown');
      report(outcome(() => worker.send('late', (error) => report([error.code, error.message]))));
      report(outcome(() => cluster.disconnect()));
      report(outcome(() => cluster.disconnect('no function')));
    },
    worker() {
      process.on('message', () => {});
    },
  });
});

test('the policies by name: an unknown one is as if none were given', async () => {
  for (const [name, policy] of [['none', 1], ['rr', 2], ['RR', 2], ['', 2], ['bogus', 2]]) {
    const { primary } = await runScenario(
      {
        primary({ cluster, report }) {
          report(cluster.schedulingPolicy);
        },
      },
      { env: { NODE_CLUSTER_SCHED_POLICY: name } },
    );
    expect([name, primary]).toEqual([name, [policy]]);
  }
});
