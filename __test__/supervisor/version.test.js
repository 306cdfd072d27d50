'use strict';

// The package is replaced by another version of it under a running service.

const fs = require('node:fs');
const path = require('node:path');
const { ROOT, request, startScript, waitFor } = require('../helpers/run');
const { Service, temporaryFolder, writeScript } = require('../helpers/service');
const { fail, upgrade } = require('../helpers/upgrade');

function server() {
  require('node:http').createServer((asked, response) => response.end(`${process.pid}`)).listen(0, '127.0.0.1', function () {
    console.log(`port ${this.address().port}`);
  });
}

/**
 * A copy of the package as it is installed.
 *
 * @param {string} folder
 * @param {(text: string) => string} change Of each of its files of JavaScript.
 */
function install(folder, change = (text) => text) {
  for (const name of ['index.js', 'package.json', 'lib', 'bin', 'bundle', 'native', 'manager/cli']) {
    fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  const sources = JSON.parse(fs.readFileSync(path.join(folder, 'bundle', 'sources.json'), 'utf8'));
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(folder, name);
    if (!/^(?:lib|bundle)\/.*\.js$/.test(name)) continue;
    fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
    if (sources[name] !== undefined) sources[name] = fs.statSync(file).size;
  }
  fs.writeFileSync(path.join(folder, 'bundle', 'sources.json'), JSON.stringify(sources));
}

/** Another version in the place of the one there: as npm does it, by renaming. */
function swap(place, other, old) {
  fs.renameSync(place, old);
  fs.renameSync(other, place);
}

const NEXT = /** @param {string} text */ (text) => text.replace(/const WIRE = (\d+)/, (_all, number) => `const WIRE = ${Number(number) + 1}`);
/** What a version says that was made before there were any. */
const FIRST = /** @param {string} text */ (text) => text.replace('wire: WIRE, version: load().version(), ', '').replace('hello.wire !== WIRE', 'false');

async function startCopy(change) {
  const folder = temporaryFolder();
  const place = path.join(folder, 'rcluster');
  install(place, change);
  const script = startScript(path.join(place, 'bin', 'rcluster.js'), { args: ['-i', '2', '--settle-time', '0', writeScript(server)], cwd: folder });
  const [, port] = await script.waitForLine(/^port (\d+)$/);
  await script.waitForLine(/2 workers are ready/);
  return { folder, place, script, port };
}

/** @param {import('../helpers/run').Script} script @param {RegExp} pattern */
const count = (script, pattern) => script.stderr.filter((line) => pattern.test(line)).length;

test('a worker of another version refuses, the reload fails closed, and the version before works again', async () => {
  const { folder, place, script, port } = await startCopy();
  const next = path.join(folder, 'next');
  const before = path.join(folder, 'before');
  install(next, NEXT);
  swap(place, next, before);
  process.kill(script.pid, 'SIGHUP');
  await script.waitForLine(/^rcluster: The reload failed, 2 of 2 workers stay as they were: Worker \d+ exited with code 1; its last output was:/);
  await script.waitForLine(/^This worker has loaded rcluster \S+, its primary runs \S+, and they do not understand each other: upgrade the primary .*\[ERR_RCLUSTER_VERSION\]$/);
  // Once by the worker itself, once in the message.
  await waitFor(() => count(script, /upgrade the primary/) === 2);
  expect((await request(port)).status).toBe(200);
  expect(count(script, /another starts in/)).toBe(0);
  swap(place, before, next);
  process.kill(script.pid, 'SIGHUP');
  await script.waitForLine(/replaced 2 workers/);
  expect(await script.stop()).toEqual({ code: 0, signal: null });
});

test('the files of the same language in their place are taken', async () => {
  const { folder, place, script } = await startCopy();
  const next = path.join(folder, 'next');
  install(next);
  swap(place, next, path.join(folder, 'before'));
  process.kill(script.pid, 'SIGHUP');
  await script.waitForLine(/replaced 2 workers/);
});

test('a primary of a time before versions were told gets the reason, too', async () => {
  const { folder, place, script } = await startCopy(FIRST);
  const next = path.join(folder, 'next');
  install(next);
  swap(place, next, path.join(folder, 'before'));
  process.kill(script.pid, 'SIGHUP');
  await script.waitForLine(/its primary runs an earlier version, and they do not/);
  await script.waitForLine(/^rcluster: The reload failed, 2 of 2 workers stay/);
});

/** A service of a copy of the package, controlled by the test. */
async function startControlled() {
  const folder = temporaryFolder();
  const place = path.join(folder, 'rcluster');
  install(place);
  const fixture = path.join(folder, '__test__', 'fixtures', 'service.js');
  fs.mkdirSync(path.dirname(fixture), { recursive: true });
  fs.writeFileSync(fixture, fs.readFileSync(path.join(ROOT, '__test__', 'fixtures', 'service.js'), 'utf8').replace("require('../..')", `require('${place}')`));
  const control = path.join(folder, 'control');
  const file = writeScript(server);
  const TEST_SERVICE = JSON.stringify({ options: { workers: 2, drainTimeout: 5000, settleTime: 100, exec: file, args: [] }, control });
  const service = new Service(startScript(fixture, { cwd: folder, env: { TEST_SERVICE } }), control, file);
  await service.event('ready');
  const replace = (/** @type {(text: string) => string} */ change) => {
    install(path.join(folder, 'next'), change);
    swap(place, path.join(folder, 'next'), fs.mkdtempSync(path.join(folder, 'before-')));
  };
  return { folder, place, replace, service };
}

test('an upgrade brings another language for primary and workers, where a reload cannot', async () => {
  const { replace, service } = await startControlled();
  replace(NEXT);
  await expect(service.call('reload')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_RELOAD_FAILED', message: expect.stringContaining('upgrade the primary') });
  const { report, next } = await upgrade(service);
  expect(report).toMatchObject({ oldPid: service.pid, cut: 0 });
  // Its workers and it understand each other: they are replaced as ever.
  expect((await next.call('reload')).workers).toHaveLength(2);
  expect((await request(next.port)).status).toBe(200);
});

test('a new primary whose workers are of another version than it fails closed, and the old one goes on', async () => {
  const { place, replace, service } = await startControlled();
  // As if the package was replaced again while the new primary starts.
  replace((text) => text);
  fs.rmSync(path.join(place, 'bundle'), { recursive: true });
  fs.writeFileSync(path.join(place, 'lib', 'wire.js'), "'use strict';\nmodule.exports = { WIRE: process.argv[1].endsWith('service.js') ? 1 : 2 };\n");
  expect((await fail(service)).message).toMatch(/the old primary goes on: the new one, \d+, has a worker that died: \d+ exited with code 1; its last output was:[^]*do not understand each other/);
});

test('a new primary that speaks another protocol of upgrades is refused, and the old one goes on', async () => {
  const { replace, service } = await startControlled();
  replace((text) => text.replace('const PROTOCOL = 1;', 'const PROTOCOL = 2;'));
  expect((await fail(service)).message).toMatch(/the old primary goes on: the new one, \d+, has ended, or does not speak our protocol$/);
});
