'use strict';

// What a worker loads: few files, made of lib/ by the build, or lib/ itself where that is not what they are made of.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { whyNot } = require('../lib/bundle.js');
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
      console.log(JSON.stringify(loaded));
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
  expect(whyNot()).toBeUndefined();
});

test('a worker has loaded one file of ours and the native part when it listens, and nothing more of Node than any worker', async () => {
  const ours = await loadedBy(ROOT);
  expect(names(ours.files, ROOT)).toEqual([path.join('bundle', 'preload.js'), expect.stringMatching(/^native\/rcluster\..*\.node$/)]);

  const builtin = await loadedBy('node:cluster');
  // Whose store a listener sees is found out before any code of the program (lib/contexts.js).
  const more = ours.modules.filter((name) => !builtin.modules.includes(name));
  expect(more.filter((name) => !name.includes('/async_local_storage/'))).toEqual([]);
});

test('a worker that may load no addons but ours begins with a file of its own', async () => {
  const { files } = await loadedBy(ROOT, { execArgv: ['--no-addons'] });
  expect(names(files, ROOT).filter(isOurs)).toEqual(['bundle/preload_alone.js', 'bundle/preload.js']);
});

test('requiring rcluster in a worker loads nothing but what finds out that all is done', async () => {
  const { files } = await loadedBy(ROOT, { execArgv: ['--require', ROOT] });
  expect(names(files, ROOT)).toEqual(['bundle/preload.js', expect.stringMatching(/\.node$/), 'index.js', 'lib/load.js']);
});

test.each([
  ['a source of a checkout is newer, though as long', true, (file) => fs.utimesSync(file, new Date(), new Date())],
  ['a source of an installed package has been patched', false, (file) => fs.appendFileSync(file, '\n// patched\n')],
  ['there is no bundle', false, (file, folder) => fs.renameSync(path.join(folder, 'bundle'), path.join(folder, 'away'))],
])('workers load lib/ when %s', async (_when, checkout, change) => {
  const folder = copy({ checkout });
  expect(names((await loadedBy(folder)).files, folder).filter(isOurs)).toEqual(['bundle/preload.js']);
  change(path.join(folder, 'lib', 'worker', 'take_over.js'), folder);
  expect(names((await loadedBy(folder)).files, folder)).toEqual(expect.arrayContaining(['lib/preload.js', 'lib/worker/take_over.js']));
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
  expect(line).toMatch(/^ +at \w+\.send \(.*bundle\/preload\.js:\d+:\d+\)$/);
  await script.waitForExit();
});
