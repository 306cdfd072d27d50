'use strict';

// Whoever dies: a primary, a program with sockets, a keeper. Nothing runs twice, and nobody is refused.

const fs = require('node:fs');
const path = require('node:path');
const { load } = require('../helpers/load');
const { testWith } = require('../helpers/needs');
const { childrenOf, isAlive } = require('../helpers/proc');
const { ROOT, request, waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string | (() => string)} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const LONG = 60_000;
const SLEEP = 'setInterval(() => {}, 1e6)';
/** A server that takes a little time for each answer. */
const WEB = `require('http').createServer((q, s) => setTimeout(() => s.end(String(process.ppid)), 5)).listen(Number(process.env.PORT ?? 0), '127.0.0.1', function () { console.log('port', this.address().port); });`;

const testWithPython = testWith('python3');

/** @param {Home} home @param {string} [log] */
const portOf = (home, log = 'web-out-0.log') => waitFor('the port', () => /(?:port|serves) (\d+)/.exec(home.log(log))?.[1]);

/** @param {Home} home */
const appOf = async (home) => (await home.manager.list())[0];

/** Waits until the app has another main process, which is online. @param {Home} home @param {number | null} before */
const anotherOf = (home, before) => waitFor('another process', async () => {
  const { processes: [one] } = await appOf(home);
  return one.pid !== before && one.state === 'online' && one;
});

test.each([['SIGKILL', 6], ['SIGSEGV', 2]])('the primary of a cluster is ended by %s under load: nobody is refused', async (signal, rounds) => {
  const home = new Home();
  home.write('web.js', WEB);
  await home.run('start', 'web.js', '-i', '2', '--min-uptime', '1');
  const port = await portOf(home);
  const { result, stop } = load(port, 8);
  const workers = [];
  for (let round = 0; round < rounds; round++) {
    const { answered } = result;
    await waitFor('answers', () => result.answered > answered + 20);
    const { processes: [{ pid }] } = await appOf(home);
    workers.push(...childrenOf(pid));
    process.kill(/** @type {number} */ (pid), /** @type {NodeJS.Signals} */ (signal));
    await anotherOf(home, pid);
  }
  await stop();
  expect(result).toMatchObject({ refused: 0, other: [] });
  expect(result.cut).toBeLessThanOrEqual(rounds * 2);
  const { processes: [{ pid }] } = await appOf(home);
  expect((await request(port)).body).toBe(`${pid}`);
  // Those of before have finished what they had, and ended.
  await waitForDeath(workers);
}, LONG);

test('a keeper that cannot be found at once is not replaced: the one that is started for nothing says so, and the first is found again', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const { keeper, processes: [{ pid }] } = await appOf(home);
  const folder = path.join(home.path, 'run', fs.readdirSync(path.join(home.path, 'run'))[0]);
  const daemon = home.daemonPid();
  process.kill(daemon, 'SIGKILL');
  await waitForDeath([daemon]);
  // As one that is about to listen, while it is being started by a daemon that has died.
  fs.renameSync(path.join(folder, 'keeper.sock'), path.join(folder, 'aside'));
  const found = home.manager.list();
  await waitFor('the second keeper', () => fs.readFileSync(path.join(home.path, 'daemon.log'), 'utf8').includes('another keeper'));
  fs.renameSync(path.join(folder, 'aside'), path.join(folder, 'keeper.sock'));
  expect(await found).toMatchObject([{ keeper, processes: [{ pid, state: 'online', restarts: 0 }] }]);
}, LONG);

test('a primary that throws, and one that is restarted, leave their sockets to the next one', async () => {
  const home = new Home();
  home.write('web.js', WEB);
  const throws = home.write('throws.js', `process.on('SIGWINCH', () => { throw new Error('on purpose'); });`);
  await home.manager.ensureDaemon();
  await home.manager.start([{ ...program(home, 'web'), mode: 'cluster', instances: 2, env: { ...ENV, NODE_OPTIONS: `--require ${throws}` } }]);
  const port = await portOf(home);
  const { result, stop } = load(port, 4);
  const rounds = [
    (/** @type {number} */ pid) => process.kill(pid, 'SIGWINCH'),
    () => home.run('restart', 'web'),
  ];
  for (const round of rounds) {
    const { answered } = result;
    await waitFor('answers', () => result.answered > answered + 20);
    const { processes: [{ pid }] } = await appOf(home);
    await round(/** @type {number} */ (pid));
    await anotherOf(home, pid);
  }
  await stop();
  expect(result).toMatchObject({ refused: 0, other: [] });
  expect(result.cut).toBeLessThanOrEqual(2);
  expect(home.log('web-error.log')).toContain('on purpose');
  expect((await home.run('stop', 'web')).code).toBe(0);
  await expect(request(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
}, LONG);

test('a primary that is killed while it is being reloaded is started once, by its keeper alone', async () => {
  const home = new Home();
  const slow = path.join(home.folder, 'slow');
  home.write('web.js', `
    console.log(require('fs').existsSync('slow') ? 'slow' : 'quick', process.ppid);
    if (require('fs').existsSync('slow')) setInterval(() => {}, 1e6);
    else require('http').createServer(() => {}).listen(0, '127.0.0.1');`);
  await home.run('start', 'web.js', '-i', '1', '--min-uptime', '1', '--listen-timeout', '60s');
  const { processes: [{ pid }] } = await appOf(home);
  fs.writeFileSync(slow, '');
  const reloaded = home.json('reload', 'web');
  await waitFor('a worker that is not ready', () => home.log('web-out.log').includes('slow'));
  fs.rmSync(slow);
  process.kill(/** @type {number} */ (pid), 'SIGKILL');
  expect(await reloaded).toMatchObject([{ name: 'web', kind: 'restart' }]);
  const { processes: [one] } = await appOf(home);
  expect(one).toMatchObject({ state: 'online', restarts: 1 });
  expect(home.log('web-out.log').trim().split('\n')).toEqual([`quick ${pid}`, `slow ${pid}`, `quick ${one.pid}`]);
}, LONG);

test('a primary that ends while it is being reloaded, and is not to be started again, stays down, and that is said', async () => {
  const home = new Home();
  home.write('web.js', `
    console.log(process.env.SLOW ? 'slow' : 'quick');
    if (process.env.SLOW) setInterval(() => {}, 1e6);
    else require('http').createServer(() => {}).listen(0, '127.0.0.1');`);
  await home.run('start', 'web.js', '-i', '1', '--no-autorestart', '--listen-timeout', '60s');
  const { processes: [{ pid }] } = await appOf(home);
  const reloaded = home.runWith({ env: { SLOW: '1' } }, 'reload', 'web', '--update-env');
  await waitFor('a worker that is not ready', () => home.log('web-out.log').includes('slow'));
  process.kill(/** @type {number} */ (pid), 'SIGKILL');
  expect(await reloaded).toMatchObject({ code: 1, stderr: expect.stringContaining('the primary has ended meanwhile') });
  expect((await appOf(home)).processes[0]).toMatchObject({ state: 'stopped', pid: null, restarts: 0 });
}, LONG);

test("the file of a stopped cluster's Unix socket goes, and that of a killed one's stays", async () => {
  const home = new Home();
  const file = path.join(home.folder, 'web.sock');
  home.write('web.js', `require('http').createServer((q, s) => s.end(String(process.ppid))).listen('web.sock');`);
  await home.run('start', 'web.js', '-i', '1', '--min-uptime', '1');
  await waitFor('the socket', () => fs.existsSync(file));
  const { ino } = fs.statSync(file);
  const { processes: [{ pid }] } = await appOf(home);
  process.kill(/** @type {number} */ (pid), 'SIGKILL');
  const waits = request(file);
  expect((await waits).body).toBe(`${(await anotherOf(home, pid)).pid}`);
  expect(fs.statSync(file).ino).toBe(ino);
  // Killed, and then not started again.
  await home.run('stop', 'web');
  expect(fs.existsSync(file)).toBe(false);
}, LONG);

testWithPython('a program of another language with sockets is killed, and restarted: nobody is refused', async () => {
  const home = new Home();
  fs.copyFileSync(path.join(ROOT, '__test__', 'fixtures', 'activated.py'), path.join(home.folder, 'web.py'));
  home.write('apps.config.js', `module.exports = { apps: [{ name: 'web', script: 'web.py', instances: 2, min_uptime: 1, merge_logs: true, sockets: ['tcp:127.0.0.1:0'] }] };`);
  expect(await home.run('start', 'apps.config.js')).toMatchObject({ code: 0 });
  const port = await portOf(home, 'web-out.log');
  expect(home.log('web-out.log')).toContain('names tcp-127.0.0.1-0\n');
  const { result, stop } = load(port, 4);
  for (let round = 0; round < 3; round++) {
    const { answered } = result;
    await waitFor('answers', () => result.answered > answered + 20);
    const { processes } = await appOf(home);
    for (const { pid } of processes) process.kill(/** @type {number} */ (pid), 'SIGKILL');
    await waitFor('others', async () => (await appOf(home)).processes.every(({ pid, state }, index) => pid !== processes[index].pid && state === 'online'));
  }
  expect((await home.run('restart', 'web')).code).toBe(0);
  await stop();
  expect(result).toMatchObject({ refused: 0, other: [] });
  expect(result.answered).toBeGreaterThan(60);
}, LONG);

/** The environment of apps that are described here. */
const ENV = { PATH: `${process.env.PATH}` };

/**
 * An app of a program, as the API takes it.
 *
 * @param {Home} home
 * @param {string} name
 */
function program(home, name) {
  return { name, mode: /** @type {const} */ ('program'), script: `${name}.js`, cwd: home.folder, env: ENV, minUptime: 1 };
}

test('a keeper that is killed: what it had started is ended, and started anew once', async () => {
  const home = new Home();
  // One that ignores being asked, a daemon of its, and one that was stopped.
  home.write('stubborn.js', `
    const { spawn } = require('child_process');
    process.on('SIGINT', () => {}); process.stdout.on('error', () => {});
    spawn('setsid', ['sh', '-c', 'trap "" INT; while :; do sleep 1; done'], { stdio: 'ignore' }).unref();
    setInterval(() => {}, 1e6);`);
  home.write('sleep.js', SLEEP);
  await home.manager.ensureDaemon();
  await home.manager.start([{ ...program(home, 'stubborn'), killTimeout: 100 }, { ...program(home, 'sleep'), instances: 2 }]);
  const [stubborn, sleep] = await home.manager.list();
  await home.run('stop', `${sleep.processes[1].id}`);
  const { processes: [{ pid }] } = stubborn;
  const child = await waitFor('its daemon', () => childrenOf(pid)[0]);
  const before = [pid, child, sleep.processes[0].pid];
  process.kill(/** @type {number} */ (stubborn.keeper), 'SIGKILL');
  process.kill(/** @type {number} */ (sleep.keeper), 'SIGKILL');
  const [again, other] = await waitFor('both', async () => {
    const list = await home.manager.list();
    return list.every(({ processes: [one] }) => one.state === 'online' && !before.includes(/** @type {number} */ (one.pid))) && list;
  });
  await waitForDeath(/** @type {number[]} */ (before));
  expect(again.processes[0].restarts).toBe(1);
  expect(other.processes.map((/** @type {any} */ one) => one.state)).toEqual(['online', 'stopped']);
  expect(isAlive(other.processes[0].pid)).toBe(true);
}, LONG);

test('a daemon and a keeper that are killed together: the next daemon has it run again', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const { keeper, processes: [{ pid }] } = await appOf(home);
  process.kill(home.daemonPid(), 'SIGKILL');
  process.kill(/** @type {number} */ (keeper), 'SIGKILL');
  await waitForDeath([/** @type {number} */ (keeper)]);
  expect(isAlive(pid)).toBe(true);
  await home.run('list');
  await anotherOf(home, pid);
  await waitForDeath([/** @type {number} */ (pid)]);
});

test("a cluster's and a program's sockets outlive their keeper: nobody is refused", async () => {
  const home = new Home();
  home.write('web.js', WEB);
  home.write('given.js', `require('http').createServer((q, s) => s.end(String(process.pid))).listen({ fd: 3 }, function () { console.log('port', this.address().port); });`);
  await home.manager.ensureDaemon();
  await home.manager.start([
    { ...program(home, 'web'), mode: 'cluster', instances: 2 },
    { ...program(home, 'given'), sockets: ['tcp:127.0.0.1:0'] },
  ]);
  const ports = [await portOf(home), await portOf(home, 'given-out.log')];
  const loads = ports.map((port) => load(port, 2));
  const results = loads.map(({ result }) => result);
  for (let round = 0; round < 3; round++) {
    const answered = results.map((result) => result.answered);
    await waitFor('answers', () => results.every((result, index) => result.answered > answered[index] + 20));
    const before = await home.manager.list();
    for (const { keeper } of before) process.kill(/** @type {number} */ (keeper), 'SIGKILL');
    await waitFor('others', async () => (await home.manager.list()).every(({ processes: [one] }, index) => one.state === 'online' && one.pid !== before[index].processes[0].pid));
  }
  await Promise.all(loads.map(({ stop }) => stop()));
  for (const result of results) expect(result).toMatchObject({ refused: 0, other: [] });
  // With the app they end.
  await home.run('delete', 'all');
  for (const port of ports) await expect(request(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
}, LONG);
