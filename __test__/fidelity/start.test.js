'use strict';

// The ways in which a program and its workers can be started, with the built-in module and with rcluster.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { ROOT, startScript } = require('../helpers/run');

let folder;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "rcluster starts it's é-"));
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

const file = (name, text) => {
  const full = path.join(folder, name);
  fs.writeFileSync(full, text);
  return full;
};

/** A program that forks one worker, which tells what it sees of itself. */
const program = (importCluster) => `${importCluster}
const see = () => ({
  argv: process.argv.slice(1), execArgv: process.execArgv, options: process.env.NODE_OPTIONS ?? null,
  marked: globalThis.marked ?? null, worker: cluster.worker?.id ?? null,
  ours: Object.keys(process.env).filter((name) => /RCLUSTER|UNIQUE_ID|CHANNEL/.test(name)),
});
if (cluster.isPrimary) {
  cluster.fork().on('message', (seen) => console.log(JSON.stringify([see(), seen])));
} else {
  process.send(see());
  process.disconnect();
}
`;
const COMMONJS = program("const cluster = require('node:cluster');");
const ESM = program("import cluster from 'node:cluster';");

/** Runs a program with either module and expects the same of both. */
async function compare(script, { execArgv = [], env, args = ['an argument'], node } = {}) {
  const run = async (side) => {
    // After what the test asks for, so that it is the same on both sides.
    const preload = side === 'rcluster' ? ['--require', ROOT] : ['--require', file('nothing.js', '')];
    const app = startScript(script, { execArgv: [...execArgv, ...preload], env, args, node, cwd: folder });
    const exit = await app.waitForExit();
    return { exit, stdout: app.stdout.map((line) => line.replaceAll(preload[1], 'P')), stderr: app.stderr };
  };
  const [builtin, ours] = await Promise.all([run('builtin'), run('rcluster')]);
  expect(ours).toEqual(builtin);
  expect(ours).toMatchObject({ exit: { code: 0, signal: null }, stderr: [] });
  return JSON.parse(ours.stdout[0]);
}

test('a path with spaces, an apostrophe and an accent', async () => {
  const [, worker] = await compare(file('plain.js', COMMONJS));
  expect(worker).toMatchObject({ argv: [path.join(folder, 'plain.js'), 'an argument'], worker: 1, options: null, ours: [] });
});

test('rcluster itself in a folder of such a name, with quotes and a backslash as well', async () => {
  const place = path.join(folder, 'a "quoted" \\ folder');
  for (const name of ['index.js', 'package.json', 'lib', 'native']) {
    fs.cpSync(path.join(ROOT, name), path.join(place, name), { recursive: true });
  }
  const app = startScript(file('plain.js', COMMONJS), { execArgv: ['--require', place], cwd: folder });
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
  expect(app.stderr).toEqual([]);
  const [primary, worker] = JSON.parse(app.stdout[0]);
  expect(worker).toEqual({ ...primary, worker: 1 });
});

test('an ES module with top-level await', async () => {
  const script = file('await.mjs', `${ESM}\nawait new Promise((resolve) => setTimeout(resolve, 10));\n`);
  expect((await compare(script))[1]).toMatchObject({ worker: 1 });
});

// With the built-in module such messages are lost.
test('a worker that is an ES module and gets messages while it awaits', async () => {
  const worker = file('late.mjs', `
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.on('message', (message) => message === 'end' ? process.disconnect() : process.send(message));
  `);
  const script = file('early.mjs', `
    import cluster from 'node:cluster';
    cluster.setupPrimary({ exec: ${JSON.stringify(worker)} });
    const worker = cluster.fork();
    const heard = [];
    worker.on('message', (message) => heard.push(message) === 3 && console.log(JSON.stringify(heard)));
    for (const message of ['one', { two: 2 }, [3], 'end']) worker.send(message);
  `);
  const app = startScript(script, { execArgv: ['--require', ROOT], cwd: folder });
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
  expect(app.stdout.map((line) => JSON.parse(line))).toEqual([['one', { two: 2 }, [3]]]);
});

test('--import and --require of the program\'s own, which workers get, too', async () => {
  const marks = file('mark.mjs', 'globalThis.marked = `${globalThis.marked ?? ""}import `;');
  const other = file('mark.cjs', 'globalThis.marked = `${globalThis.marked ?? ""}require `;');
  const execArgv = ['--import', pathToFileURL(marks).href, '--require', other];
  const [primary, worker] = await compare(file('plain.js', COMMONJS), { execArgv });
  expect([primary.marked, worker.marked]).toEqual(['require import ', 'require import ']);
  expect(worker.execArgv).toEqual(primary.execArgv);
});

test('NODE_OPTIONS, with quotes', async () => {
  const marks = file('mark it.cjs', 'globalThis.marked = "by NODE_OPTIONS";');
  const options = `--require "${marks.replace(/[\\"]/g, '\\$&')}" --no-warnings`;
  const [primary, worker] = await compare(file('plain.js', COMMONJS), { env: { NODE_OPTIONS: options } });
  expect([primary.options, worker.options]).toEqual([options, options]);
  expect(worker.marked).toBe('by NODE_OPTIONS');
});

// The built-in module gives the program to the workers, too.
test('a program of the command line is not for the workers', async () => {
  const worker = file('of eval.js', 'process.send(process.argv.length); process.disconnect();');
  const text = `
    const cluster = require('node:cluster');
    cluster.setupPrimary({ exec: ${JSON.stringify(worker)}, args: ['one', 'two'] });
    cluster.fork().on('message', (count) => console.log(JSON.stringify([count, cluster.rcluster.native])));
  `;
  const app = startScript('--', { execArgv: ['--require', ROOT, '--eval', text], cwd: folder });
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
  expect([app.stdout, app.stderr]).toEqual([['[4,true]'], []]);
});

test('TypeScript, on the Node that strips types', async () => {
  const typed = `${ESM}\nconst text: string = 'typed'; type Unused = { text: string }; void text;\n`;
  const script = file('typed.mts', typed);
  // @ts-ignore: newer than the types.
  const strips = process.features.typescript;
  if (!strips) {
    const app = startScript(script, { execArgv: ['--require', ROOT], cwd: folder });
    expect((await app.waitForExit()).code).not.toBe(0);
    return;
  }
  // Some Nodes warn that this is experimental.
  expect((await compare(script, { execArgv: ['--no-warnings'] }))[1]).toMatchObject({ worker: 1 });
});

test('execPath: workers run with the same executable, whatever it is called', async () => {
  // As an app does that brings its own Node under its own name.
  const node = path.join(folder, 'my app');
  fs.symlinkSync(process.execPath, node);
  const script = file('path.js', `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      process.execPath = ${JSON.stringify(node)};
      cluster.fork().on('message', (seen) => console.log(JSON.stringify(seen)));
    } else {
      process.send([process.argv0]);
      process.disconnect();
    }
  `);
  expect(await compare(script)).toEqual([node]);
});

test('execPath: one that does not exist is an error of the worker', async () => {
  const script = file('gone.js', `
    const cluster = require('node:cluster');
    process.execPath = '/no/such/node';
    const events = [];
    const worker = cluster.fork();
    worker.on('error', ({ code, syscall, path }) => events.push(['error', code, syscall, path]));
    worker.on('exit', (...args) => events.push(['exit', ...args]));
    process.on('exit', () => console.log(JSON.stringify([events, worker.process.pid ?? null])));
    setTimeout(() => process.exit(), 100);
  `);
  const [events, pid] = await compare(script);
  expect([events[0], pid]).toEqual([['error', 'ENOENT', 'spawn /no/such/node', '/no/such/node'], null]);
});

test('--permission: what the program may not do is an error that says so', async () => {
  const [flag] = ['--permission', '--experimental-permission'].filter((name) => process.allowedNodeEnvironmentFlags.has(name));
  const script = file('permission.js', `
    const cluster = require(process.argv[2]);
    console.log(JSON.stringify(cluster.rcluster ?? null));
    try {
      cluster.fork();
    } catch ({ code, permission }) {
      console.log(JSON.stringify({ code, permission }));
    }
  `);
  const run = async (name, ...more) => {
    const execArgv = [flag, '--allow-fs-read=*', '--no-warnings', ...more];
    const app = startScript(script, { execArgv, args: [name], cwd: folder });
    const exit = await app.waitForExit();
    return { exit, lines: app.stdout.map((line) => JSON.parse(line)), stderr: app.stderr };
  };
  const [builtin, ours] = await Promise.all([run('node:cluster'), run(ROOT)]);
  const denied = { code: 'ERR_ACCESS_DENIED', permission: 'ChildProcess' };
  expect(builtin.lines).toEqual([null, denied]);
  // Native addons are not allowed either: the built-in module stays as it is, and says why.
  expect(ours.lines).toEqual([{ native: false, reason: expect.stringContaining('native part does not load') }, denied]);
  expect(ours.exit).toEqual({ code: 0, signal: null });
});
