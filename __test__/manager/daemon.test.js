'use strict';

// The daemon: replaced, in the foreground, and what it keeps.

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { executable } = require('../../manager/home');
const { isAlive } = require('../helpers/proc');
const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const SLEEP = 'setInterval(() => {}, 1e6)';

test('update replaces the daemon: no program, no keeper and no request notices', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js', '-n', 'a');
  await home.run('start', 'a.js', '-n', 'b');
  const look = async () => (await home.json('list')).map((/** @type {any} */ { name, keeper, processes: [{ id, pid, restarts }] }) => [name, keeper, id, pid, restarts]);
  const before = await look();
  const { startedAt } = await home.manager.request('GET', '/v1/version');
  // The executable is replaced as a package manager does it, and requests go on meanwhile.
  const other = path.join(home.folder, 'rclusterd');
  fs.copyFileSync(executable(), other);
  let asking = true;
  const asked = (async () => {
    let count = 0;
    for (; asking; count++) expect((await home.json('list')).length).toBe(2);
    return count;
  })();
  const { pid } = await home.manager.update({ executable: other });
  asking = false;
  expect(await asked).toBeGreaterThan(0);
  expect((await home.manager.request('GET', '/v1/version')).startedAt).toBeGreaterThan(startedAt);
  expect(fs.readlinkSync(`/proc/${pid}/exe`)).toBe(other);
  expect(await look()).toEqual(before);
  // It goes on to start keepers when its own file has gone.
  fs.unlinkSync(other);
  expect((await home.run('start', 'a.js', '-n', 'c')).code).toBe(0);
  expect((await home.run('update')).stdout).toMatch(/^the daemon is version \S+ now/);
  expect(fs.readlinkSync(`/proc/${pid}/exe`)).toBe(executable());
});

test('what is no daemon does not replace it', async () => {
  const home = new Home();
  const { pid } = await home.manager.ping();
  const refused = async (/** @type {string} */ file) => home.manager.update({ executable: file }).catch((error) => [error.code, error.message]);
  expect(await refused('/no/such/file')).toEqual(['ERR_RCLUSTER_UPDATE', expect.stringContaining('cannot be executed')]);
  expect(await refused('/bin/true')).toEqual(['ERR_RCLUSTER_UPDATE', '"/bin/true" is no rclusterd']);
  const fails = home.write('fails.sh', '#!/bin/sh\necho rclusterd 9.9.9\nexit 1\n');
  fs.chmodSync(fails, 0o755);
  expect(await refused(fails)).toEqual(['ERR_RCLUSTER_UPDATE', `"${fails}" is no rclusterd`]);
  expect((await home.manager.ping()).pid).toBe(pid);
});

test('a daemon of another version is said to be one', async () => {
  const home = new Home();
  fs.mkdirSync(home.path);
  const old = http.createServer((request, response) => response.writeHead(200, { server: 'rclusterd/0.0.9' }).end('[]'));
  old.listen(path.join(home.path, 'daemon.sock'));
  await once(old, 'listening');
  const { code, stderr } = await home.run('list');
  expect([code, stderr]).toEqual([0, expect.stringContaining('the daemon is version 0.0.9')]);
  old.closeAllConnections();
  old.close();
  await once(old, 'close');
});

test('in the foreground: what programs write, SIGTERM, and their exit code', async () => {
  const home = new Home();
  home.write('a.js', `console.log('out'); console.error('error'); process.on('SIGINT', () => process.exit(0)); setInterval(() => {}, 1e6);`);
  const child = home.spawn(['run', 'a.js']);
  const shown = { out: '', error: '' };
  child.stdout.on('data', (data) => (shown.out += data));
  child.stderr.on('data', (data) => (shown.error += data));
  await waitFor('both lines', () => shown.out === 'out\n' && shown.error === 'error\n');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  const daemon = home.daemonPid();
  expect((await home.run('run', 'a.js')).stderr).toMatch(/^rcluster: a daemon for ".*" runs already/);
  // A daemon that is killed is followed by another.
  process.kill(daemon, 'SIGKILL');
  await waitFor('another daemon', () => fs.existsSync(path.join(home.path, 'daemon.pid')) && home.daemonPid() !== daemon && home.manager.isRunning());
  expect((await home.json('list'))[0].processes[0].pid).toBe(pid);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect([code, isAlive(pid), isAlive(keeper), await home.manager.isRunning()]).toEqual([0, false, false, false]);
});

test('in the foreground: it ends with its program', async () => {
  const home = new Home();
  home.write('a.js', `console.log('bye'); process.exit(3);`);
  home.write('ecosystem.config.js', `module.exports = [{ script: 'a.js', autorestart: false }]`);
  expect(await home.run('run')).toEqual({ code: 3, stdout: 'bye\n', stderr: '' });
  expect(await home.run('start', 'a.js', '--no-daemon', '--max-restarts', '2')).toMatchObject({ code: 3, stdout: 'bye\nbye\n', stderr: 'rcluster: a: ended too soon 2 times in a row\n' });
});

test('cleardump forgets what was saved', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  expect((await home.run('dump')).stdout).toBe('saved 1 app\n');
  await home.run('delete', 'all');
  expect((await home.json('resurrect')).length).toBe(1);
  await home.run('delete', 'all');
  await home.run('cleardump');
  expect(await home.json('resurrect')).toEqual([]);
});

test('a client that is killed in the middle leaves nothing half done', async () => {
  const home = new Home();
  home.write('slow.js', `setTimeout(() => process.send('ready'), 600); setInterval(() => {}, 1e6);`);
  await home.manager.ensureDaemon();
  const child = home.spawn(['start', 'slow.js', '--wait-ready']);
  await waitFor('its app', async () => (await home.manager.list()).length === 1);
  child.kill('SIGKILL');
  await waitFor('online', async () => (await home.manager.list())[0].processes[0].state === 'online');
});
