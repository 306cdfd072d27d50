'use strict';

// Workers begin with code that their primary has had compiled, where it fits, and compile it themselves where not.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, startScript } = require('./helpers/run');

/** @type {string} */
let tmp;
beforeEach(() => {
  tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-code-'));
});
afterEach(() => fs.rmSync(tmp, { recursive: true, force: true }));

/** Put before what a worker loads first: notes what V8 is given with the text, and whether it has refused it. */
const NOTE = `{
  const vm = require('node:vm');
  vm.Script = class extends vm.Script {
    constructor(text, options) {
      super(text, options);
      globalThis.noted = { given: options.cachedData !== undefined, refused: this.cachedDataRejected === true };
    }
  };
}
`;

/** What a worker tells when it listens. */
const WORKER = `
  const fs = require('node:fs');
  const files = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync('/proc/self/fd/' + fd);
    } catch {
      return ''; // The folder itself.
    }
  });
  const left = { variable: process.env.RCLUSTER_CODE, files: files.filter((name) => name.startsWith('/dev/shm')) };
  require('node:http').createServer().listen(0, '127.0.0.1', () => process.send({ ...noted, left }));`;

const LEFT = { files: [] };
const COMPILES = { given: false, refused: false, left: LEFT };
const COMPILED = { given: true, refused: false, left: LEFT };
const REFUSED = { given: true, refused: true, left: LEFT };

/**
 * Forks three workers, one after the other, and tells how each began.
 *
 * @param {object} options
 * @param {string} [options.head] What is done before rcluster is loaded.
 * @param {string} [options.setup] What is done before the first.
 * @param {string} [options.beforeThird]
 * @param {string[]} [options.args] Of the primary's Node.
 */
async function begin({ head = '', setup = '', beforeThird = '', args = [] } = {}) {
  const folder = path.join(tmp, 'package');
  for (const name of ['index.js', 'lib', 'bundle', 'package.json']) {
    fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true, preserveTimestamps: true });
  }
  fs.symlinkSync(path.join(ROOT, 'native'), path.join(folder, 'native'));
  const preload = path.join(folder, 'bundle', 'preload.js');
  fs.writeFileSync(preload, NOTE + fs.readFileSync(preload, 'utf8'));
  fs.writeFileSync(path.join(tmp, 'worker.js'), WORKER);
  const app = path.join(tmp, 'app.js');
  fs.writeFileSync(app, `
    ${head}
    const fs = require('node:fs');
    const file = ${JSON.stringify(path.join(folder, 'bundle', 'worker.js'))};
    const cluster = require(${JSON.stringify(folder)});
    cluster.setupPrimary({ exec: ${JSON.stringify(path.join(tmp, 'worker.js'))} });
    ${setup}
    const told = [];
    const next = () => {
      if (told.length === 3) return console.log(JSON.stringify(told));
      if (told.length === 2) { ${beforeThird} }
      const worker = cluster.fork();
      if (worker.process.stdio.length !== 4) throw new Error('there is more to be seen than was asked for');
      worker.once('message', (message) => {
        told.push(message);
        worker.kill();
        worker.once('exit', next);
      });
    };
    next();`);
  const script = startScript(app, { execArgv: args });
  const [line] = await script.waitForLine(/^\[.*\]$/);
  expect(await script.waitForExit()).toEqual({ code: 0, signal: null });
  return JSON.parse(line);
}

test('all workers but the first begin with what their primary has had compiled, of which nothing is left', async () => {
  expect(await begin()).toEqual([COMPILES, COMPILED, COMPILED]);
});

test('the same where the primary and its workers have a flag of V8', async () => {
  expect(await begin({ args: ['--stack-size=900'] })).toEqual([COMPILES, COMPILED, COMPILED]);
});

test('a worker with other flags of V8 than its primary compiles itself', async () => {
  expect(await begin({ setup: "cluster.setupPrimary({ execArgv: ['--stack-size=900'] });" })).toEqual([COMPILES, REFUSED, REFUSED]);
});

test('a worker whose file is another one by then compiles that one, even if it is as long', async () => {
  const beforeThird = "fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('edit there', 'edit THERE'));";
  expect(await begin({ beforeThird })).toEqual([COMPILES, COMPILED, COMPILES]);
});

test('a worker of another executable compiles itself', async () => {
  const node = path.join(tmp, 'node');
  fs.symlinkSync(process.execPath, node);
  const head = `
    const childProcess = require('node:child_process');
    const { fork } = childProcess;
    childProcess.fork = (file, args, options) => fork(file, args, { ...options, execPath: ${JSON.stringify(node)} });`;
  expect(await begin({ head })).toEqual([COMPILES, COMPILES, COMPILES]);
});

test('where the memory cannot be had workers compile themselves, and it is tried once', async () => {
  const setup = `
    let tries = 0;
    const { openSync } = fs;
    fs.openSync = (name, ...more) => {
      if (name !== '/dev/shm') return openSync(name, ...more);
      tries++;
      throw Object.assign(new Error('none'), { code: 'ENOSPC' });
    };
    process.on('exit', () => { if (tries !== 1) throw new Error(tries + ' tries'); });`;
  expect(await begin({ setup })).toEqual([COMPILES, COMPILES, COMPILES]);
});

test('a primary that was told how V8 compiles leaves that as it is', async () => {
  expect(await begin({ args: ['--no-lazy'] })).toEqual([COMPILES, COMPILES, COMPILES]);
});
