'use strict';

// The daemon's second descriptors for what keepers keep: they are there for the next keeper, and no longer than they are wanted.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { freePort } = require('../helpers/free_port');
const { testWith } = require('../helpers/needs');
const { isAlive } = require('../helpers/proc');
const { ROOT, waitFor } = require('../helpers/run');
const { Home } = require('./home');

const testWithPython = testWith('python3');
const LONG = 60_000;

/** A program that keeps what it is told to; what it has said, and how to tell it more. */
async function startTeller() {
  const home = new Home();
  fs.copyFileSync(path.join(ROOT, '__test__', 'fixtures', 'teller.py'), path.join(home.folder, 'teller.py'));
  await home.run('start', 'teller.py', '--min-uptime', '1');
  const said = (/** @type {RegExp} */ pattern) => waitFor(() => home.log('teller-out.log').match(pattern), { message: String(pattern) });
  return { home, said };
}

/** Of which sockets that listen a process has descriptors: their ports. @param {number} pid */
function portsOf(pid) {
  const folder = `/proc/${pid}/fd`;
  const links = new Set(fs.readdirSync(folder).map((fd) => {
    try {
      return fs.readlinkSync(path.join(folder, fd));
    } catch {
      return '';
    }
  }));
  const lines = fs.readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/));
  return lines.filter((fields) => links.has(`socket:[${fields[9]}]`)).map((fields) => Number.parseInt(fields[1].split(':')[1], 16));
}

/** @param {number} port */
const connects = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  socket.on('connect', () => socket.destroy());
});

testWithPython('the daemon has what a keeper keeps, also one that is started later, until it is given up or the app is deleted', async () => {
  const { home, said } = await startTeller();
  const order = (/** @type {string} */ text) => home.manager.write('teller', `${text}\n`);
  await order('keep a');
  await order('keep b');
  const [, a] = (await said(/done keep a (\d+)/)).map(Number);
  const [, b] = (await said(/done keep b (\d+)/)).map(Number);
  const has = (/** @type {number[]} */ ...ports) => waitFor(() => String(portsOf(home.daemonPid()).sort()) === String(ports.sort()), { message: `the daemon to have ${ports}, not ${portsOf(home.daemonPid())}` });
  await has(a, b);
  await order('tell FDSTOREREMOVE=1|FDNAME=b');
  await has(a);
  const daemon = home.daemonPid();
  process.kill(daemon, 'SIGKILL');
  await waitFor(() => !fs.existsSync(`/proc/${daemon}/fd/0`), { message: 'its end' });
  await home.run('list');
  expect(home.daemonPid()).not.toBe(daemon);
  await has(a);
  expect(await connects(a)).toBe(true);
  await home.run('delete', 'teller');
  await has();
  expect(await connects(a)).toBe(false);
}, LONG);

testWithPython('what there is no room for is not kept, that is said once, and the daemon answers on', async () => {
  const { home, said } = await startTeller();
  const daemon = home.daemonPid();
  const limit = 80; // What it has of its own is less than half of that.
  spawnSync('python3', ['-c', `import resource; resource.prlimit(${daemon}, resource.RLIMIT_NOFILE, (${limit}, ${limit}))`]);
  const open = () => fs.readdirSync(`/proc/${daemon}/fd`).length;
  const before = open();
  for (const count of [60, 61]) {
    await home.manager.write('teller', `many ${count}\n`);
    await said(new RegExp(`done many ${count}`));
    await waitFor(async () => (await home.manager.list())[0].processes[0].statusText === `many ${count}`, { message: 'what came with them' });
  }
  await waitFor(() => open() >= before + limit / 2 - 2, { message: `half of what it may have, not ${open() - before}` });
  const log = () => fs.readFileSync(path.join(home.path, 'daemon.log'), 'utf8').match(/there is no room for second descriptors/g);
  await waitFor(() => log() !== null, { message: 'words about it' });
  expect(await home.run('restart', 'teller')).toMatchObject({ code: 0 });
  expect(log()).toHaveLength(1);
  expect(open()).toBeLessThan(limit);
}, LONG);

test('with the app that asked for it the file of a Unix socket goes: delete, kill; not with a stop', async () => {
  const home = new Home();
  home.write('given.js', "require('http').createServer((q, s) => s.end('x')).listen({ fd: 3 })");
  home.write('apps.config.js', "module.exports = { apps: ['a', 'b'].map((name) => ({ name, script: 'given.js', min_uptime: 1, sockets: [`unix:${name}.sock`] })) }");
  const files = ['a.sock', 'b.sock'].map((name) => path.join(home.folder, name));
  expect(await home.run('start', 'apps.config.js')).toMatchObject({ code: 0 });
  const [a] = await home.manager.list();
  // The next keeper has the descriptor from us.
  process.kill(/** @type {number} */ (a.keeper), 'SIGKILL');
  await waitFor(async () => (await home.manager.list())[0].processes[0].state === 'online' && (await home.manager.list())[0].keeper !== a.keeper, { message: 'another keeper' });
  await home.run('stop', 'a');
  expect(files.map((file) => fs.existsSync(file))).toEqual([true, true]);
  await home.run('delete', 'a');
  expect(files.map((file) => fs.existsSync(file))).toEqual([false, true]);
  await home.run('kill');
  expect(files.map((file) => fs.existsSync(file))).toEqual([false, false]);
}, LONG);

test('apps whose keeper was killed, and no other one could be started: delete and kill end what it has left, and its port is free', async () => {
  const home = new Home();
  home.write('given.js', "require('http').createServer((q, s) => s.end('x')).listen({ fd: 3 })");
  const free = { left: await freePort(), held: await freePort() };
  home.write('apps.config.js', `module.exports = { apps: [...Object.entries(${JSON.stringify(free)}), ['killed', 0]].map(([name, port]) => ({ name, script: 'given.js', min_uptime: 1, sockets: ['tcp:127.0.0.1:' + port] })) }`);
  expect(await home.run('start', 'apps.config.js')).toMatchObject({ code: 0 });
  const list = async () => Object.fromEntries((await home.manager.list()).map((app) => [app.name, app]));
  const before = await list();
  const folders = Object.keys(before).map((name) => path.join(home.path, 'run', fs.readdirSync(path.join(home.path, 'run')).find((folder) => folder.includes(name)) ?? ''));
  // No keeper can be started there; the daemon tries again after some seconds.
  for (const folder of folders) {
    fs.renameSync(folder, `${folder}-aside`);
    fs.writeFileSync(folder, '');
  }
  for (const { keeper } of Object.values(before)) process.kill(/** @type {number} */ (keeper), 'SIGKILL');
  await waitFor(async () => Object.values(await list()).every(({ keeper }) => keeper === null), { message: 'their ends' });
  await home.manager.list();
  const { left, held, killed } = before;
  const pid = (/** @type {any} */ app) => app.processes[0].pid;
  process.kill(pid(held), 'SIGKILL');
  // The daemon alone has the socket by now.
  expect(await connects(free.held)).toBe(true);
  await home.run('delete', 'held');
  expect(await connects(free.held)).toBe(false);
  for (const folder of folders) {
    fs.rmSync(folder, { force: true });
    fs.renameSync(`${folder}-aside`, folder);
  }
  expect([left, killed].map((app) => isAlive(pid(app)))).toEqual([true, true]);
  expect(await home.run('delete', 'left')).toMatchObject({ code: 0 });
  expect(isAlive(pid(left))).toBe(false);
  expect(await connects(free.left)).toBe(false);
  expect(await home.run('kill')).toMatchObject({ code: 0 });
  expect(isAlive(pid(killed))).toBe(false);
}, LONG);
