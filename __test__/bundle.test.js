'use strict';

// What a worker loads, and what a primary does: few files, made of lib/ by the build, or lib/ itself where that is not what they are made of.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { CLUSTER, COMMAND, FOLDER, whyNot } = require('../lib/bundle.js');
const { ROOT, startScript } = require('./helpers/run');

/** @type {string} */
let tmp;
beforeEach(() => {
  tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-bundle-'));
});
afterEach(() => fs.rmSync(tmp, { recursive: true, force: true }));

/** Starts a worker that listens, and tells which files and which modules of Node's it has loaded by then. */
async function loadedBy(cluster, { env = {}, execArgv = [] } = {}) {
  const app = path.join(tmp, 'app.js');
  fs.writeFileSync(app, `
    const cluster = require(${JSON.stringify(cluster)});
    cluster.setupPrimary({ exec: ${JSON.stringify(path.join(tmp, 'worker.js'))}, execArgv: ${JSON.stringify(execArgv)} });
    const worker = cluster.fork();
    worker.on('message', (loaded) => {
      console.log(JSON.stringify({ ...loaded, primary: Object.keys(require.cache) }));
      worker.kill();
    });`);
  fs.writeFileSync(path.join(tmp, 'worker.js'), `
    require('node:net').createServer().listen(0, '127.0.0.1', () =>
      process.send({ files: Object.keys(require.cache), modules: process.moduleLoadList }));`);
  const script = startScript(app, { env });
  const [line] = await script.waitForLine(/^{.*}$/);
  await script.waitForExit();
  return JSON.parse(line);
}

/** The package as it is installed, or as a checkout, with files of its own. */
function copy({ checkout }) {
  const folder = path.join(tmp, 'copy');
  for (const name of ['index.js', 'lib', 'bundle', 'package.json', ...(checkout ? ['scripts'] : [])]) {
    fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true, preserveTimestamps: true });
  }
  fs.symlinkSync(path.join(ROOT, 'native'), path.join(folder, 'native'));
  return folder;
}

const names = (files, folder) => files.filter((file) => file.startsWith(folder)).map((file) => path.relative(folder, file));
const isOurs = (name) => /^(bundle|lib)\//.test(name);

test('the bundle of this checkout is made of its sources as they are (npm run build makes it)', () => {
  expect([CLUSTER, COMMAND].map(whyNot)).toEqual([undefined, undefined]);
});

/** What a worker has loaded when its program begins. The last is what the program's require finds, made by the first. */
const WORKER = ['bundle/preload.js', expect.stringMatching(/^native\/rcluster\..*\.node$/), 'index.js'];

/** It takes code that is compiled already. Some Nodes have it from the start. */
const VM = 'NativeModule vm';

test('a worker has loaded one file of ours and the native part when it listens, and nothing more of Node than any worker but vm', async () => {
  const ours = await loadedBy(ROOT);
  expect(names(ours.files, ROOT)).toEqual(WORKER);

  const builtin = await loadedBy('node:cluster');
  // Whose store a listener sees is found out before any code of the program (lib/contexts.js).
  const more = ours.modules.filter((name) => !builtin.modules.includes(name));
  expect(more.filter((name) => !name.includes('/async_local_storage/') && name !== VM)).toEqual([]);
});

test('a worker that may load no addons but ours begins with a file of its own', async () => {
  const { files } = await loadedBy(ROOT, { execArgv: ['--no-addons'] });
  expect(names(files, ROOT).filter(isOurs)).toEqual(['bundle/preload_alone.js', 'bundle/preload.js']);
});

test('requiring rcluster in a worker reads no file: what it is for is there already', async () => {
  const { files } = await loadedBy(ROOT, { execArgv: ['--require', ROOT] });
  expect(names(files, ROOT)).toEqual(WORKER);
});

test('a supervised worker, which counts requests as well, has loaded one file more when its program begins', async () => {
  const app = path.join(tmp, 'supervised.js');
  fs.writeFileSync(app, `
    const files = Object.keys(require.cache).filter((file) => file !== __filename);
    const cluster = require(${JSON.stringify(ROOT)});
    if (cluster.isPrimary) {
      const supervisor = cluster.supervise({ workers: 1, countRequests: true });
      cluster.on('message', (_worker, message) => {
        console.log(JSON.stringify(message));
        void supervisor.stop();
      });
    } else {
      require('node:http').createServer().listen(0, '127.0.0.1', () => process.send(files));
    }`);
  const script = startScript(app);
  const [line] = await script.waitForLine(/^\[.*\]$/);
  await script.waitForExit();
  expect(names(JSON.parse(line), ROOT)).toEqual([...WORKER.slice(0, 2), 'bundle/supervised.js', ...WORKER.slice(2)]);
});

test("a worker's program that lets go of all modules, as tools do that load them anew, finds the same module again", async () => {
  const app = path.join(tmp, 'anew.js');
  fs.writeFileSync(app, `
    const cluster = require(${JSON.stringify(ROOT)});
    if (cluster.isPrimary) {
      const worker = cluster.fork();
      worker.on('message', (message) => {
        console.log(JSON.stringify(message));
        worker.kill();
      });
    } else {
      for (const file of Object.keys(require.cache)) delete require.cache[file];
      const again = require(${JSON.stringify(ROOT)});
      process.send({ same: again === cluster && again === require('node:cluster'), read: require.cache[${JSON.stringify(path.join(ROOT, 'lib/load.js'))}] !== undefined });
    }`);
  const script = startScript(app);
  const [line] = await script.waitForLine(/^{.*}$/);
  await script.waitForExit();
  expect(JSON.parse(line)).toEqual({ same: true, read: true });
});

test.each([
  ['a source of a checkout is newer, though as long', true, (file) => fs.utimesSync(file, new Date(), new Date())],
  ['a source of an installed package has been patched', false, (file) => fs.appendFileSync(file, '\n// patched\n')],
  ['there is no bundle', false, (file, folder) => fs.renameSync(path.join(folder, 'bundle'), path.join(folder, 'away'))],
])('workers and their primary load lib/ when %s', async (_when, checkout, change) => {
  const folder = copy({ checkout });
  expect(names((await loadedBy(folder)).files, folder).filter(isOurs)).toEqual(['bundle/preload.js']);
  change(path.join(folder, 'lib', 'worker', 'take_over.js'), folder);
  const loaded = await loadedBy(folder);
  expect(names(loaded.files, folder)).toEqual(expect.arrayContaining(['lib/preload.js', 'lib/worker/take_over.js']));
  expect(names(loaded.primary, folder)).toEqual(expect.arrayContaining(['lib/primary/take_over.js', 'lib/which_side.js']));
  expect(names(loaded.primary, folder).filter((name) => name.startsWith('bundle/'))).toEqual([]);
});

/** Prints what a process has loaded when it ends, as its preload. */
const TELL = `
  const { pid } = process;
  process.on('exit', () => console.log(JSON.stringify({ pid, files: Object.keys(require.cache), modules: process.moduleLoadList })));`;

/** Runs a program, which ends by itself, and tells what its primary has loaded by then. */
async function loadedByProgram(file, options = {}) {
  const tell = path.join(tmp, 'tell.js');
  fs.writeFileSync(tell, TELL);
  const script = startScript(file, { ...options, env: { ...options.env, NODE_OPTIONS: `--require="${tell}"` } });
  const { code } = await script.waitForExit();
  expect({ code, stderr: code === 0 ? [] : script.stderr }).toEqual({ code: 0, stderr: [] });
  return JSON.parse(script.stdout.find((line) => line.startsWith(`{"pid":${script.pid},`)));
}

/** The same of a program that does something with two workers that listen, in a primary. */
async function loadedByPrimary(required, { head = '', then = 'end();', name = 'primary.js' } = {}) {
  const app = path.join(tmp, name);
  const load = name.endsWith('.mjs') ? `import cluster from ${JSON.stringify(required)};` : `const cluster = require(${JSON.stringify(required)});`;
  fs.writeFileSync(path.join(tmp, 'worker.js'), `
    process.on('message', (_message, socket) => process.send('got', () => socket?.destroy()));
    require('node:net').createServer().listen(0, '127.0.0.1');`);
  fs.writeFileSync(app, `
    ${head}
    ${load}
    cluster.setupPrimary({ exec: ${JSON.stringify(path.join(tmp, 'worker.js'))} });
    const end = () => cluster.disconnect();
    let listening = 0;
    cluster.on('listening', () => {
      if (++listening < 2) return;
      ${then}
    });
    for (let i = 0; i < 2; i++) cluster.fork();`);
  return loadedByProgram(app);
}

const START = ['bundle/primary.js', 'index.js', 'lib/bundle.js', 'lib/load.js', expect.stringMatching(/^native\/rcluster\..*\.node$/)];

describe('a primary', () => {
  test('has loaded one file of ours when its workers listen, besides what finds out which, and nothing more of Node than any primary but vm', async () => {
    const ours = await loadedByPrimary(ROOT);
    expect(names(ours.files, ROOT).sort()).toEqual(START);

    const builtin = await loadedByPrimary('node:cluster');
    expect(ours.modules.filter((name) => !builtin.modules.includes(name) && name !== VM)).toEqual([]);
  });

  test('has loaded the same by import', async () => {
    const { files } = await loadedByPrimary(path.join(ROOT, 'index.mjs'), { name: 'primary.mjs' });
    expect(names(files, ROOT).sort()).toEqual(START);
  });

  test('loads what it needs for a socket in a message when it sends the first', async () => {
    const { files } = await loadedByPrimary(ROOT, {
      then: `const server = require('node:net').createServer((socket) => {
          Object.values(cluster.workers)[0].once('message', () => (server.close(), end()));
          Object.values(cluster.workers)[0].send('socket', socket);
        });
        server.listen(0, '127.0.0.1', () => require('node:net').connect(server.address().port, '127.0.0.1').on('error', () => {}));`,
    });
    expect(names(files, ROOT).sort()).toEqual([START[0], 'bundle/primary_later.js', ...START.slice(1)]);
  });

  test('under the command has loaded supervision as well, in one file, and nothing of lib/ in another way', async () => {
    const app = path.join(tmp, 'app.js');
    fs.writeFileSync(app, "require('node:net').createServer().listen(0, '127.0.0.1', () => process.kill(process.ppid, 'SIGTERM'));");
    const { files } = await loadedByProgram(path.join(ROOT, 'bin', 'rcluster.js'), { args: ['-i', '1', '--pid-file', path.join(tmp, 'pid'), app] });
    const loaded = names(files, ROOT).filter((name) => !/^(?:bin|manager|node_modules)\/|^package.json$/.test(name));
    expect(loaded.sort()).toEqual([START[0], 'bundle/supervisor.js', ...START.slice(1)]);
  });

  test('loads nothing again that somebody has loaded from lib/ before', async () => {
    const { files } = await loadedByPrimary(ROOT, { head: `require(${JSON.stringify(path.join(ROOT, 'lib', 'errors.js'))});` });
    expect(names(files, ROOT)).toEqual(expect.arrayContaining(['lib/errors.js', 'lib/primary/workers.js']));
    expect(names(files, ROOT).filter((name) => name.startsWith('bundle/'))).toEqual([]);
  });

  test('shows what functions are called in lib/ in stack traces', () => {
    const text = `
      const cluster = require(${JSON.stringify(ROOT)});
      cluster.schedulingPolicy = 77;
      try { cluster.fork(); } catch ({ stack }) { console.log(stack); }`;
    const { stdout } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8' });
    expect(stdout).toMatch(/^ +at \w+\.setupPrimary \(.*bundle\/primary\.js:\d+:\d+\)$/m);
    expect(stdout).toMatch(/^ +at Workers\.fork \(.*bundle\/primary\.js:\d+:\d+\)$/m);
  });
});

describe('the command', () => {
  const VERB = ['bin/rcluster.js', 'manager/cli/verbs.js', 'lib/bundle.js'];
  const copyOfCommand = (checkout) => {
    const folder = copy({ checkout });
    for (const name of ['bin', 'manager/cli', 'manager/client.js', 'manager/ask.js', 'manager/home.js', 'manager/log_reader.js']) {
      fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true, preserveTimestamps: true });
    }
    return folder;
  };
  const loaded = async (folder, ...args) => {
    const { files } = await loadedByProgram(path.join(folder, 'bin', 'rcluster.js'), { args, env: { RCLUSTER_HOME: path.join(tmp, 'home') } });
    return names(files, folder).filter((name) => name !== 'package.json');
  };

  test.each([['list', ['list', '--help']], ['jlist', ['jlist', '--help']], ['describe', ['describe', '--help']], ['logs', ['logs', '--help']]])('loads one file for %s, besides what finds out which', async (_verb, args) => {
    expect(await loaded(ROOT, ...args)).toEqual([...VERB, 'bundle/command.js']);
  });

  test('has one more for what is not read alone, and knows every verb there', async () => {
    expect(await loaded(ROOT, 'help')).toEqual([...VERB, 'bundle/command.js', 'bundle/command_later.js']);
  });

  test.each([
    ['a source of a checkout is newer, though as long', true, (file) => fs.utimesSync(file, new Date(), new Date())],
    ['a source of an installed package has been patched', false, (file) => fs.appendFileSync(file, '\n// patched\n')],
    ['there is no bundle', false, (file, folder) => fs.renameSync(path.join(folder, 'bundle'), path.join(folder, 'away'))],
  ])('loads manager/ when %s', async (_when, checkout, change) => {
    const folder = copyOfCommand(checkout);
    expect(await loaded(folder, 'list', '--help')).toEqual([...VERB, 'bundle/command.js']);
    change(path.join(folder, 'manager', 'cli', 'words.js'), folder);
    expect(await loaded(folder, 'list', '--help')).toEqual([...VERB, ...['main.js', 'say.js', 'words.js', 'verbs/list.js'].map((name) => `manager/cli/${name}`), 'manager/client.js', 'manager/ask.js', 'manager/home.js']);
  });
});

test('a thread of a worker that requires rcluster finds what its preload has loaded', async () => {
  const app = path.join(tmp, 'thread.js');
  fs.writeFileSync(app, `
    const { isMainThread, parentPort, Worker } = require('node:worker_threads');
    if (!isMainThread) {
      const { reason } = require(${JSON.stringify(ROOT)}).rcluster;
      parentPort.postMessage({ reason, files: Object.keys(require.cache) });
    } else {
      const cluster = require(${JSON.stringify(ROOT)});
      if (cluster.isPrimary) {
        cluster.fork().on('message', (message) => {
          console.log(JSON.stringify(message));
          cluster.disconnect();
        });
      } else {
        new Worker(__filename).on('message', (message) => process.send(message));
      }
    }`);
  const script = startScript(app);
  const [line] = await script.waitForLine(/^{.*}$/);
  await script.waitForExit();
  const { files, reason } = JSON.parse(line);
  expect(reason).toBe('this is a worker thread');
  expect(names(files, ROOT).filter(isOurs)).toEqual(['bundle/preload.js', 'lib/load.js', 'lib/bundle.js']);
});

test.each([
  ['a worker', ['worker.js', 'supervised.js', 'later.js']],
  ['a primary', ['primary.js', 'primary_later.js', 'supervisor.js']],
])('what %s may load has no module twice, and takes none from lib/ that it may need', (_who, files) => {
  const texts = files.map((name) => fs.readFileSync(path.join(FOLDER, name), 'utf8'));
  const modules = texts.flatMap((text) => [...text.matchAll(/^makers\['(.*)'\] = /gm)].map(([, name]) => name));
  expect(modules.length).toBeGreaterThan(40);
  expect(modules.filter((name, place) => modules.indexOf(name) !== place)).toEqual([]);
  const linked = texts.flatMap((text) => [...text.matchAll(/requireOurs\('(.*?)'\)/g)].map(([, name]) => name));
  expect(linked.filter((name) => !modules.includes(name))).toEqual([]);
  const outside = texts.flatMap((text) => [...text.matchAll(/require\('\.\.\/(.*?)'\)/g)].map(([, name]) => name));
  expect(new Set(outside)).toEqual(new Set(files.includes('primary.js')
    ? ['lib/bundle.js', 'lib/worker/take_over.js']
    : ['lib/primary/take_over.js', 'lib/binary-name.js']));
});

test('stack traces name functions as they are called in lib/', async () => {
  const app = path.join(tmp, 'stack.js');
  fs.writeFileSync(app, `
    const cluster = require(${JSON.stringify(ROOT)});
    if (cluster.isPrimary) {
      const worker = cluster.fork();
      worker.on('message', (stack) => {
        console.log(stack.split('\\n')[1]);
        worker.kill();
      });
    } else {
      try {
        process.send(Symbol());
      } catch ({ stack }) {
        process.send(stack.split('\\n').filter((line) => !line.includes('later.js')).join('\\n'));
      }
    }`);
  const script = startScript(app);
  const [line] = await script.waitForLine(/^ +at .*/);
  expect(line).toMatch(/^ +at \w+\.send \(.*bundle\/worker\.js:\d+:\d+\)$/);
  await script.waitForExit();
});
