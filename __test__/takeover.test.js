'use strict';

// `require('rcluster')` is `require('cluster')`, taken over where that is possible and left alone where not.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, startScript } = require('./helpers/run');
const { compare, runScenario } = require('./helpers/scenario');

const OK = { code: 0, signal: null };

/** @type {string} a folder with a second copy of the package, whose name has a space */
let folder;
/** @type {string} */
let copy;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster takeover-'));
  copy = path.join(folder, 'second copy');
  for (const part of ['index.js', 'package.json', 'lib', 'native']) {
    fs.cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
  }
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Runs a program of its own and gives what it prints: one JSON text a line. */
async function run(name, text, { execArgv, args } = {}) {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  const script = startScript(file, { execArgv, args, env: { NODE_OPTIONS: undefined }, cwd: folder });
  const exit = await script.waitForExit();
  expect({ exit, stderr: script.stderr }).toEqual({ exit: OK, stderr: [] });
  return script.stdout.map((line) => JSON.parse(line));
}

const { version } = require('../package.json');
const TAKEN = { native: true, version };

test('it is the built-in object, in the primary and in workers, however often it is loaded', async () => {
  const { primary, worker, exit } = await runScenario({
    primary({ cluster, report }) {
      const { isSame } = require('./same');
      report(isSame(cluster));
      cluster.fork();
    },
    worker({ cluster, report }) {
      const { isSame } = require('./same');
      report(isSame(cluster));
      process.disconnect();
    },
  });
  const same = { rcluster: true, cluster: true, nodeCluster: true, again: true, about: TAKEN, frozen: true };
  expect(primary).toEqual([same]);
  expect(worker).toEqual([same]);
  expect(exit).toEqual(OK);
});

test('a second copy of the package finds the first one\'s work', async () => {
  const lines = await run('two.js', `
    const one = require(${JSON.stringify(ROOT)});
    const two = require(${JSON.stringify(copy)});
    const show = (name) => console.log(JSON.stringify([name, one === two, one === require('cluster'), one.rcluster.native]));
    if (one.isPrimary) {
      show('primary');
      two.fork().on('message', (message) => {
        console.log(JSON.stringify(message));
        one.disconnect();
      });
    } else {
      show('worker');
      process.send(['message', two.worker.id]);
    }`);
  expect(lines.sort()).toEqual([['message', 1], ['primary', true, true, true], ['worker', true, true, true]]);
});

test('from a folder with a space in its name', async () => {
  const lines = await run('space.js', `
    const cluster = require(${JSON.stringify(copy)});
    if (cluster.isPrimary) {
      cluster.fork().on('message', (message) => {
        console.log(JSON.stringify([cluster.rcluster.native, message]));
        cluster.disconnect();
      });
    } else {
      process.send([cluster.rcluster.native, process.execArgv, process.env.NODE_OPTIONS ?? null]);
    }`);
  expect(lines).toEqual([[true, [true, [], null]]]);
});

test('--require turns a program over that only knows cluster', async () => {
  const program = (load) => `${load}
    if (cluster.isPrimary) {
      cluster.fork().on('message', (message) => {
        console.log(JSON.stringify([cluster.rcluster.native, typeof fork, fork === cluster.fork, message]));
        cluster.disconnect();
      });
    } else {
      process.send([cluster.rcluster.native, cluster.worker.id, process.argv.slice(2)]);
    }`;
  const args = ['an argument'];
  const execArgv = ['--require', copy];
  const expected = [[true, 'function', true, [true, 1, args]]];
  expect(await run('plain.js', program("const cluster = require('cluster'); const { fork } = cluster;"), { execArgv, args })).toEqual(expected);
  expect(await run('plain.mjs', program("import cluster from 'node:cluster'; const { fork } = cluster;"), { execArgv, args })).toEqual(expected);
  // The names that ESM imports are those that have been replaced.
  expect(await run('names.mjs', program("import cluster, * as all from 'node:cluster'; const fork = all.fork ?? cluster.fork;"), { execArgv, args }))
    .toEqual(expected);
});

describe('it leaves the built-in as it is', () => {
  test('in a thread', async () => {
    const lines = await run('thread.js', `
      const { Worker, isMainThread } = require('node:worker_threads');
      if (isMainThread) {
        const builtin = require('node:cluster').fork;
        const cluster = require(${JSON.stringify(ROOT)});
        console.log(JSON.stringify([cluster.rcluster.native, cluster.fork === builtin]));
        new Worker(__filename);
      } else {
        const builtin = require('node:cluster').fork;
        const cluster = require(${JSON.stringify(ROOT)});
        process.stdout.write(JSON.stringify([cluster.rcluster, cluster.fork === builtin]) + '\\n');
      }`);
    expect(lines).toEqual([[true, false], [{ native: false, reason: 'this is a worker thread' }, true]]);
  });

  test('in a process that the built-in has forked', async () => {
    const lines = await run('forked.js', `
      const builtin = require('node:cluster');
      if (builtin.isPrimary) {
        builtin.fork().on('message', (message) => {
          console.log(JSON.stringify(message));
          builtin.disconnect();
        });
      } else {
        const { _getServer } = builtin;
        const cluster = require(${JSON.stringify(ROOT)});
        require('node:net').createServer().listen(0, () => {
          process.send([cluster.rcluster, cluster === builtin, cluster._getServer === _getServer, cluster.worker.id]);
        });
      }`);
    expect(lines).toEqual([[{ native: false, reason: 'this process was forked by another cluster module' }, true, true, 1]]);
  });

  test('after the built-in has forked', async () => {
    const lines = await run('late.js', `
      const builtin = require('node:cluster');
      if (builtin.isPrimary) {
        const { fork } = builtin;
        builtin.fork();
        const cluster = require(${JSON.stringify(ROOT)});
        console.log(JSON.stringify([cluster.rcluster, cluster === builtin, cluster.fork === fork]));
        builtin.fork().on('message', (message) => {
          console.log(JSON.stringify(message));
          builtin.disconnect();
        });
      } else {
        process.send(builtin.rcluster ?? null);
      }`);
    const reason = 'the built-in module has forked workers already';
    expect(lines).toEqual([[{ native: false, reason }, true, true], null]);
  });

  test('without the native part', async () => {
    const bare = path.join(folder, 'bare');
    fs.cpSync(copy, bare, { recursive: true });
    fs.rmSync(path.join(bare, 'native'), { recursive: true });
    const [[about, served]] = await run('no-native.js', `
      const cluster = require(${JSON.stringify(bare)});
      if (cluster.isPrimary) {
        cluster.fork().on('message', (message) => {
          console.log(JSON.stringify([cluster.rcluster, message]));
          cluster.disconnect();
        });
      } else {
        process.send(cluster.worker.id);
      }`);
    expect(about).toEqual({ native: false, reason: expect.stringMatching(/: run: node ".*\/scripts\/install\.js"$/) });
    expect(served).toBe(1);
  });
});

test('a worker is started, and sees itself, exactly as with the built-in', async () => {
  const { primary, worker } = await compare({
    primary({ cluster, once, report }) {
      cluster.setupPrimary({ args: ['one', '--two'], execArgv: ['--no-warnings', '--max-old-space-size=500'] });
      const child = cluster.fork({ MINE: 'a b', NODE_OPTIONS: '--no-deprecation' });
      report({
        spawnargs: child.process.spawnargs.slice(1),
        spawnfile: child.process.spawnfile,
        stdio: child.process.stdio,
        settings: cluster.settings,
      });
      return once(child, 'exit');
    },
    worker({ report }) {
      const { TEST_SCENARIO, NODE_UNIQUE_ID, NODE_CHANNEL_FD, NODE_CHANNEL_SERIALIZATION_MODE, ...env } = process.env;
      report({
        argv: process.argv,
        argv0: process.argv0,
        env,
        execArgv: process.execArgv,
        execPath: process.execPath,
        ipc: [NODE_UNIQUE_ID ?? null, NODE_CHANNEL_FD ?? null, NODE_CHANNEL_SERIALIZATION_MODE ?? null],
        title: process.title,
        scenario: TEST_SCENARIO.length > 0,
        main: require.main?.filename,
        modules: Object.keys(require.cache).filter((file) => !/rcluster|fixtures|[/](lib|bundle)[/]|index.js|package.json/.test(file)),
      });
      process.disconnect();
    },
  });
  expect(primary[0].spawnargs).toEqual(['--no-warnings', '--max-old-space-size=500', expect.stringContaining('scenario.js'), 'one', '--two']);
  expect(worker[0]).toMatchObject({
    env: { MINE: 'a b', NODE_OPTIONS: '--no-deprecation' },
    execArgv: ['--no-warnings', '--max-old-space-size=500'],
    modules: [],
  });
});

test.each([true, false])('a preload does not keep the program from setting captureRejections to %s', async (captures) => {
  const text = (load) => `
    require('node:events').captureRejections = ${captures};
    const cluster = ${load};
    const print = (...what) => console.log(JSON.stringify(what));
    process.on('unhandledRejection', ({ message }) => print('nobody', message));
    cluster.on('error', ({ message }) => print('cluster', message));
    cluster.on('one', async () => { throw new Error('rejected'); });
    cluster.emit('one');`;
  const builtIn = await run('captures.js', text("require('node:cluster')"));
  expect(builtIn).toEqual([[captures ? 'cluster' : 'nobody', 'rejected']]);
  expect(await run('captures.js', text("require('node:cluster')"), { execArgv: ['--require', copy] })).toEqual(builtIn);
  expect(await run('captures.js', text(`require(${JSON.stringify(copy)})`))).toEqual(builtIn);
});
