'use strict';

// The ways in which a program and its workers can be started, with the built-in module and with rcluster.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { ROOT, startScript } = require('../helpers/run');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rcluster starts it's é-"));
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

describe('a tool has replaced child_process.fork', () => {
  /** One worker, which counts its starts in a file and answers what it is told. */
  const asked = file('asked.js', `
    const cluster = require('node:cluster');
    const fs = require('node:fs');
    if (cluster.isPrimary) {
      const worker = cluster.fork({ STARTS: process.argv[2] });
      worker.on('message', (told) => {
        if (told === 'ready') worker.send('tell');
        else if (told !== 'heard') console.log(JSON.stringify([told, globalThis.seen ?? null, fs.readFileSync(process.argv[2], 'utf8')]));
      });
    } else {
      fs.appendFileSync(process.env.STARTS, 'one ');
      process.on('message', (message) => {
        if (message !== 'tell') return process.send('heard');
        process.send({ worker: cluster.worker.id, argv: process.argv.slice(3), execArgv: process.execArgv, tool: process.env.TOOL ?? null });
        process.disconnect();
      });
      process.send('ready');
    }
  `);

  /** With the tool before rcluster, and with rcluster before the tool. The built-in module sees only a tool that is first. */
  async function withTool(text, { esm = false } = {}) {
    const tool = file(`tool.${esm ? 'mjs' : 'cjs'}`, text);
    const starts = path.join(folder, 'starts');
    const execArgv = esm ? ['--import', pathToFileURL(tool).href] : ['--require', tool];
    const run = async (...options) => {
      fs.writeFileSync(starts, '');
      const app = startScript(asked, { execArgv: options, args: [starts], cwd: folder });
      const exit = await app.waitForExit();
      expect({ exit, stderr: app.stderr }).toEqual({ exit: { code: 0, signal: null }, stderr: [] });
      return app.stdout.map((line) => JSON.parse(line));
    };
    const none = file('nothing.js', '');
    const builtin = await run(...execArgv, '--require', none);
    const hidden = (lines, name) => JSON.parse(JSON.stringify(lines).replaceAll(name, none));
    expect(hidden(await run(...execArgv, '--require', ROOT), ROOT)).toEqual(builtin);
    const first = hidden(await run('--require', ROOT, ...execArgv), ROOT);
    expect(first.map(([told, ...rest]) => [{ ...told, execArgv: null }, ...rest]))
      .toEqual(builtin.map(([told, ...rest]) => [{ ...told, execArgv: null }, ...rest]));
    return builtin[0];
  }

  const wrap = (body, before = '') => `
    const cp = require('node:child_process');
    const { fork } = cp;
    ${before}
    cp.fork = function (file, args, options) { ${body} };`;

  test('by one that has its own stdio, arguments and variables', async () => {
    const [told, , starts] = await withTool(wrap(`
      const env = { ...options.env, TOOL: options.env.NODE_UNIQUE_ID };
      return fork(file, [...args, 'more'], { ...options, env, stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'ipc'] });`));
    expect([told, starts]).toEqual([expect.objectContaining({ argv: ['more'], tool: '1', worker: 1 }), 'one ']);
  });

  test('by one that talks to the process at once', async () => {
    const [, seen] = await withTool(wrap(`
      const child = fork(file, args, options);
      globalThis.seen = [child.connected, child.channel !== null, child.spawnargs.length > 1];
      child.on('message', (message) => globalThis.seen.push(typeof message));
      child.send('from the tool');
      return child;`));
    expect(seen).toEqual([true, true, true, 'string', 'string', 'object']);
  });

  test('by one that starts another process before', async () => {
    const other = file('other.js', "process.once('message', (message) => { process.send(message); process.disconnect(); });");
    const [told, , starts] = await withTool(wrap(`
      const helper = fork(${JSON.stringify(other)}, [], { execArgv: [] });
      helper.send('hello');
      return fork(file, args, options);`));
    expect([told.worker, starts]).toEqual([1, 'one ']);
  });

  test('by one that starts two and returns the second: that is the worker, and the other can talk as well', async () => {
    const [told, seen, starts] = await withTool(wrap(`
      globalThis.seen = [];
      const first = fork(file, args, options);
      first.on('message', (message) => {
        if (message === 'ready') first.send('tell');
        else globalThis.seen.push(message.worker);
        if (message !== 'ready') globalThis.go();
      });
      // Not before the first has ended.
      const second = fork(file, args, options);
      const { send } = second;
      const ended = new Promise((resolve) => { globalThis.go = resolve; }).then(() => new Promise((resolve) => { first.on('exit', resolve); }));
      second.send = function (...all) { void ended.then(() => send.apply(this, all)); };
      return second;`));
    expect([told.worker, seen, starts]).toEqual([1, [1], 'one one ']);
  });

  test('by one that runs a program of its own, as the CoffeeScript command does', async () => {
    const runner = file('runner.js', 'process.argv.splice(1, 1); process.env.TOOL = "run"; require(process.argv[1]);');
    const [told] = await withTool(wrap(`return fork(${JSON.stringify(runner)}, [file, ...args], options);`));
    expect(told).toMatchObject({ tool: 'run', worker: 1 });
  });

  test('by one that puts something before the process', async () => {
    const [told] = await withTool(wrap(`
      return new Proxy(fork(file, args, options), {
        get: (child, name) => typeof child[name] === 'function' ? child[name].bind(child) : child[name],
      });`));
    expect(told.worker).toBe(1);
  });

  test('by an ES module', async () => {
    const [told] = await withTool(`
      import cp from 'node:child_process';
      const { fork } = cp;
      cp.fork = (file, args, options) => fork(file, args, { ...options, env: { ...options.env, TOOL: 'module' } });`, { esm: true });
    expect(told.tool).toBe('module');
  });

  test('and one that has replaced ChildProcess.prototype.spawn', async () => {
    const [told, seen] = await withTool(`
      const { ChildProcess } = require('node:child_process');
      const { spawn } = ChildProcess.prototype;
      ChildProcess.prototype.spawn = function (options) {
        globalThis.seen = options.stdio.length;
        return spawn.call(this, { ...options, envPairs: [...options.envPairs, 'TOOL=spawn'] });
      };`);
    expect([told.tool, seen]).toEqual(['spawn', 4]);
  });

  /** With rcluster: the error of `fork`, after which no process of the worker's is left. */
  async function withBadTool(body) {
    const tool = file('bad tool.cjs', wrap(body, 'const call = (...all) => (globalThis.child = fork(...all));'));
    const script = file('bad.js', `
      const cluster = require('node:cluster');
      if (cluster.isPrimary) {
        const { spawn } = require('node:child_process').ChildProcess.prototype;
        let thrown;
        try {
          cluster.fork();
        } catch ({ code, message }) {
          thrown = { code, message };
        }
        const { child } = globalThis;
        const same = require('node:child_process').ChildProcess.prototype.spawn === spawn;
        const tell = (...end) => console.log(JSON.stringify([thrown, end, same, Object.keys(cluster.workers)]));
        if (child) child.on('exit', tell);
        else tell();
      } else {
        setInterval(() => {}, 1000);
      }
    `);
    const app = startScript(script, { execArgv: ['--require', tool, '--require', ROOT], cwd: folder });
    expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
    expect(app.stderr).toEqual([]);
    return JSON.parse(app.stdout[0]);
  }

  const refused = { code: 'ERR_RCLUSTER_FORK', message: expect.stringContaining('in the place of child_process.fork') };
  test.each([
    ['throws after it has started the process', 'call(file, args, options); throw Object.assign(new Error("no"), { code: "NO" });',
      { code: 'NO', message: 'no' }, [null, 'SIGKILL']],
    ['returns a promise', 'return Promise.resolve(call(file, args, options));', refused, [null, 'SIGKILL']],
    ['returns nothing', 'call(file, args, options);', refused, [null, 'SIGKILL']],
    ['starts nothing', '', refused, []],
    ['drops the environment', 'return call(file, args, { ...options, env: {} });', refused, [null, 'SIGKILL']],
  ])('one that %s: one error, and no process', async (_name, body, error, end) => {
    expect(await withBadTool(body)).toEqual([error, end, true, []]);
  });
});

test.each([
  ['a URL', 'require("node:url").pathToFileURL(__filename)'],
  ['a Buffer', 'Buffer.from(__filename)'],
])('exec: %s', async (_name, exec) => {
  const script = file('exec.js', `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary({ exec: ${exec} });
      try {
        cluster.fork().on('message', (seen) => console.log(JSON.stringify(seen)));
      } catch ({ code, message }) {
        console.log(JSON.stringify([code, message]));
      }
    } else {
      process.send(process.argv.slice(1));
      process.disconnect();
    }
  `);
  expect(await compare(script)).toHaveLength(2);
});

/** A program whose worker, and a thread of it, tell what they see of their options. */
const options = file('options.js', `
  const cluster = require('node:cluster');
  const { Worker, isMainThread, parentPort } = require('node:worker_threads');
  const load = () => {
    try {
      process.dlopen({ exports: {} }, '/no/such.node');
    } catch ({ name, code }) {
      return [name, code];
    }
  };
  const see = () => ({
    addon: load(), execArgv: process.execArgv, options: process.env.NODE_OPTIONS ?? null, from: process.env.FROM_FILE ?? null,
    proto: typeof {}.__proto__, size: require('node:http').maxHeaderSize, rcluster: isMainThread ? undefined : cluster.rcluster ?? null,
    ours: Object.keys(process.env).filter((name) => /RCLUSTER|UNIQUE_ID|CHANNEL/.test(name)),
  });
  if (!isMainThread) {
    parentPort.postMessage(see());
  } else if (cluster.isPrimary) {
    const { execArgv, env } = JSON.parse(process.argv[2]);
    cluster.setupPrimary({ execArgv, args: [] });
    cluster.fork(env).on('message', (seen) => console.log(JSON.stringify(seen)));
  } else if (process.execArgv.some((option) => option.endsWith('permission'))) {
    process.send([see()]);
    process.disconnect();
  } else {
    new Worker(__filename).once('message', (seen) => {
      process.send([see(), seen]);
      process.disconnect();
    });
  }
`);
const environmentFile = file('worker.env', 'NODE_OPTIONS="--max-http-header-size=4321"\nFROM_FILE=yes\n');
const [permission] = ['--permission', '--experimental-permission'].filter((name) => process.allowedNodeEnvironmentFlags.has(name));

test.each([
  ['none', [], {}],
  ['--env-file with NODE_OPTIONS', [`--env-file=${environmentFile}`], {}],
  ['an empty NODE_OPTIONS', [], { NODE_OPTIONS: '' }],
  ['a blank NODE_OPTIONS', [], { NODE_OPTIONS: ' ' }],
  ['NODE_OPTIONS of the worker', [], { NODE_OPTIONS: '--max-http-header-size=4322' }],
  ['--no-addons', ['--no-addons', '--no-warnings'], {}],
  ['--no-addons in NODE_OPTIONS', ['--no-warnings'], { NODE_OPTIONS: '--no-addons' }],
  ['--permission', [permission, '--allow-fs-read=*', '--no-warnings'], {}],
  ['--disable-proto', ['--disable-proto=delete'], {}],
  ['--frozen-intrinsics', ['--frozen-intrinsics', '--no-warnings'], {}],
  ['--disallow-code-generation-from-strings', ['--disallow-code-generation-from-strings'], {}],
  ['variables that tell Node of a channel', [], { NODE_UNIQUE_ID: '7' }],
])('options of the worker alone: %s', async (_name, execArgv, env) => {
  const [seen] = await compare(options, { args: [JSON.stringify({ execArgv, env })] });
  expect(seen).toMatchObject({ execArgv, options: env.NODE_OPTIONS ?? (execArgv[0]?.includes('env-file') ? expect.anything() : null), ours: [] });
});

test('with another preload before ours, which has loaded the module already', async () => {
  file('early.cjs', "require('node:cluster');");
  const before = file('before.env', 'NODE_OPTIONS="--require ./early.cjs"\n');
  const script = file('late.js', `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary({ execArgv: ['--env-file=' + ${JSON.stringify(before)}] });
      cluster.fork().on('message', (seen) => console.log(JSON.stringify(seen)));
    } else {
      const server = require('node:net').createServer().listen(0, () => {
        process.send([cluster.isWorker, cluster.isMaster, cluster.worker.id, Object.hasOwn(cluster, 'fork')]);
        process.disconnect();
      });
    }
  `);
  expect(await compare(script)).toEqual([true, false, 1, false]);
});

test('the policy of the environment, set by the program itself', async () => {
  const script = (before, after) => file('policy.js', `
    ${before}
    const cluster = require('node:cluster');
    ${after}
    const policies = [cluster.schedulingPolicy];
    cluster.setupPrimary({ exec: ${JSON.stringify(file('end.js', 'process.disconnect();'))} });
    cluster.fork();
    console.log(JSON.stringify([...policies, cluster.schedulingPolicy, Object.keys(cluster).includes('schedulingPolicy')]));
  `);
  expect(await compare(script("process.env.NODE_CLUSTER_SCHED_POLICY = 'none';", ''))).toEqual([1, 1, true]);
  expect(await compare(script('', 'cluster.schedulingPolicy = cluster.SCHED_NONE;'))).toEqual([1, 1, true]);
  expect(await compare(script('', ''), { env: { NODE_CLUSTER_SCHED_POLICY: 'none' } })).toEqual([1, 1, true]);
  expect(await compare(script('', ''))).toEqual([2, 2, true]);
});

test('the channel at any place of stdio, with pipes, numbers, streams and holes beside it', async () => {
  const script = file('stdio.js', `
    const cluster = require('node:cluster');
    const fs = require('node:fs');
    const { once } = require('node:events');
    if (cluster.isPrimary) (async () => {
      const name = 'stdio.log.' + process.pid;
      const log = fs.createWriteStream(name);
      await once(log, 'open');
      const seen = [];
      for (const [stdio, pipe] of [
        [['ipc', 'ignore', 'ignore'], 0],
        [['ignore', 'ipc'], 0],
        [[null, 'ignore', 'ipc', , 'pipe'], 3],
        [['ignore', 'ignore', 'ignore', 'pipe', 'ipc'], 3],
        [['ignore', 'ignore', 'ignore', 'ipc', 'overlapped', 'ignore', 'pipe'], 6],
        [['ignore', log, log.fd, null, undefined, 'ipc'], 0],
        [['ignore', 'inherit', 2, 'ipc'], 0],
      ]) for (const serialization of ['json', 'advanced']) {
        cluster.setupPrimary({ stdio, serialization, args: [pipe] });
        const worker = cluster.fork();
        const { stdio: streams, spawnargs } = worker.process;
        const shape = streams.map((stream) => stream === null ? 0 : 1).join('');
        const closed = once(worker.process, 'close');
        const data = pipe ? once(streams[pipe], 'data') : ['nothing'];
        const [told] = await once(worker, 'message');
        seen.push(String((await data)[0]));
        if (pipe) streams[pipe].resume();
        worker.send('end');
        await closed;
        seen.push([shape, spawnargs.slice(1), told]);
      }
      fs.rmSync(name);
      console.log(JSON.stringify(seen));
    })();
    else {
      process.on('message', () => process.disconnect());
      if (+process.argv[2]) fs.writeSync(+process.argv[2], 'through the pipe');
      process.send('hello');
    }
  `);
  expect(await compare(script)).toHaveLength(28);
});
