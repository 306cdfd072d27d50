'use strict';

// Stopping ends all that a program has started; what cannot be started again says why.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { COMMAND } = require('../helpers/command');
const { testUnless } = require('../helpers/needs');
const { isAlive } = require('../helpers/proc');
const { waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string | (() => string)} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const ENV = { PATH: `${process.env.PATH}` };
const isRoot = process.getuid?.() === 0;
const hasNobody = spawnSync('id', ['nobody']).status === 0;
const forbidden = isRoot ? !hasNobody && 'there is no user "nobody"' : 'root alone may start programs of others';

/** @param {Home} home @param {string} name @param {object} [more] */
const app = (home, name, more) => ({ name, mode: /** @type {const} */ ('program'), script: `${name}.sh`, cwd: home.folder, env: ENV, minUptime: 1, ...more });

/** @param {Home} home */
const first = async (home) => (await home.manager.list())[0].processes[0];

/** Starts a daemon in the way of old: its parent and its parent's parent end, it has a session of its own, and it ignores what it can. */
const DAEMON = `
  (setsid sh -c '(trap "" INT TERM HUP; echo daemon $0; while :; do sleep 1; done) & echo $! > "$0.pid"' "$1" &)
  while :; do sleep 1; done`;

test('of several instances one is stopped, with the daemons that it has started and no others', async () => {
  const home = new Home();
  home.write('tree.sh', DAEMON.replace('$1', '$PWD/$NODE_APP_INSTANCE'));
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'tree', { instances: 2, killTimeout: 100 })]);
  const file = (/** @type {number} */ number) => path.join(home.folder, `${number}.pid`);
  const daemons = await waitFor('both', () => [0, 1].every((number) => fs.existsSync(file(number)) && fs.statSync(file(number)).size > 1)
    && [0, 1].map((number) => Number(fs.readFileSync(file(number), 'utf8'))));
  const [{ processes }] = await home.manager.list();
  await home.manager.act('tree', 'stop', {});
  expect(daemons.map(isAlive)).toEqual([false, false]);
  await home.manager.act('tree', 'start', {});
  await waitFor('both again', () => [0, 1].every((number) => Number(fs.readFileSync(file(number), 'utf8')) !== daemons[number] && isAlive(Number(fs.readFileSync(file(number), 'utf8')))));
  const [one, other] = [0, 1].map((number) => Number(fs.readFileSync(file(number), 'utf8')));
  await home.manager.act(`${processes[0].id}`, 'stop', {});
  expect([one, other].map(isAlive)).toEqual([false, true]);
});

test('a daemon that a program has started by a verb goes on without it', async () => {
  const home = new Home();
  home.write('sleep.sh', 'while :; do sleep 1; done');
  const verb = (/** @type {string} */ words) => `"$NODE" "$COMMAND" ${words}`;
  home.write('deploys.sh', `while [ ! -e go ]; do sleep 0.1; done; ${verb('start sleep.sh -n other')}; echo done; while :; do sleep 1; done`);
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'deploys', { killTimeout: 100, env: { ...ENV, NODE: process.execPath, COMMAND, RCLUSTER_HOME: home.path } })]);
  const daemon = home.daemonPid();
  process.kill(daemon, 'SIGKILL');
  await waitForDeath([daemon]);
  home.write('go', '');
  await waitFor('the verb', () => home.log('deploys-out.log').includes('done'));
  const started = home.daemonPid();
  await home.manager.act('deploys', 'stop', {});
  const list = await home.manager.list();
  expect(list.map(({ name, processes: [one] }) => [name, one.state])).toEqual([['deploys', 'stopped'], ['other', 'online']]);
  expect([home.daemonPid(), isAlive(started), isAlive(list[1].processes[0].pid)]).toEqual([started, true, true]);
});

test('treekill: false leaves what it has started', async () => {
  const home = new Home();
  home.write('tree.sh', DAEMON.replace('$1', '$PWD/0'));
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'tree', { killTimeout: 100, treekill: false })]);
  const file = path.join(home.folder, '0.pid');
  const daemon = await waitFor('it', () => fs.existsSync(file) && Number(fs.readFileSync(file, 'utf8')));
  try {
    await home.manager.act('tree', 'stop', {});
    expect((await first(home)).state).toBe('stopped');
    expect(isAlive(daemon)).toBe(true);
  } finally {
    process.kill(daemon, 'SIGKILL');
  }
});

test('one that closes its output runs on, costs nothing, and is stopped', async () => {
  const home = new Home();
  home.write('closes.sh', 'exec 1>&- 2>&-\nexec sleep 1000');
  expect((await home.run('start', 'closes.sh')).code).toBe(0);
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  await waitFor('its output to be closed', () => fs.readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
  const calls = () => fs.readFileSync(`/proc/${keeper}/status`, 'utf8').match(/^voluntary_ctxt_switches:\s*(\d+)$/m)?.[1];
  // A pipe that has ended and is looked at again and again would be seen in each of these.
  await waitFor('rest', async () => {
    const before = calls();
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    return calls() === before;
  });
  await home.run('stop', 'closes');
  expect([isAlive(pid), (await home.json('list'))[0].processes[0].state]).toEqual([false, 'stopped']);
});

test('one that ignores what it is asked by is killed after kill_timeout', async () => {
  const home = new Home();
  home.write('deaf.sh', 'trap "" INT TERM; echo ready; while :; do sleep 1; done');
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'deaf', { killTimeout: 200 })]);
  await waitFor('its word', () => home.log('deaf-out.log').includes('ready'));
  const { pid } = await first(home);
  await home.manager.act('deaf', 'stop', {});
  expect(await first(home)).toMatchObject({ state: 'stopped', signal: 'SIGKILL', pid: null });
  expect(isAlive(pid)).toBe(false);
});

test('one that ends when it is asked to has stopped when what it has started, and what ignores that, has ended, too', async () => {
  const home = new Home();
  home.write('parent.sh', `
    sh -c 'trap "" INT TERM; echo child $$; while :; do sleep 1; done' &
    trap 'exit 5' INT
    while :; do sleep 0.05; done`);
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'parent', { killTimeout: 300 })]);
  const child = Number(await waitFor('its word', () => /^child (\d+)$/m.exec(home.log('parent-out.log'))?.[1]));
  await home.manager.act('parent', 'stop', {});
  expect(isAlive(child)).toBe(false);
  expect(await first(home)).toMatchObject({ state: 'stopped', exitCode: 5, signal: null });
});

const GONE = {
  'the script': [(/** @type {Home} */ home) => fs.rmSync(path.join(home.folder, 'gone', 'gone.sh')), /there is no script ".*gone\.sh"/],
  'the folder': [(/** @type {Home} */ home) => fs.rmSync(path.join(home.folder, 'gone'), { recursive: true }), /there is no script ".*gone\.sh"|the folder ".*gone" cannot be entered/],
};
test.each(Object.entries(GONE))('%s is gone when it crashes: it says so, and runs when that is there again', async (_, [remove, message]) => {
  const home = new Home();
  const folder = path.join(home.folder, 'gone');
  const write = () => {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, 'gone.sh'), 'while :; do sleep 1; done');
  };
  write();
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'gone', { cwd: folder })]);
  const { pid } = await first(home);
  /** @type {any} */ (remove)(home);
  process.kill(/** @type {number} */ (pid), 'SIGKILL');
  const waits = await waitFor('its end', async () => {
    const one = await first(home);
    return one.state === 'waiting restart' && one;
  });
  expect(waits).toMatchObject({ pid: null, lastError: expect.stringMatching(/** @type {RegExp} */ (message)) });
  write();
  await waitFor('another one', async () => (await first(home)).state === 'online');
  expect((await first(home)).lastError).toBe(null);
  // Whoever asks is told at once.
  /** @type {any} */ (remove)(home);
  await home.manager.act('gone', 'restart', {}).catch(() => {});
  expect(await first(home)).toMatchObject({ state: 'errored', lastError: expect.stringMatching(/** @type {RegExp} */ (message)) });
});

testUnless(forbidden)('another user: the program has its number, its group and nothing of ours', async () => {
  const home = new Home();
  home.write('who.sh', 'id -u; id -g; id -G; echo done; while :; do sleep 1; done');
  fs.chmodSync(home.folder, 0o755);
  const [uid, gid, groups] = [['-u'], ['-g'], ['-G']].map((words) => spawnSync('id', [...words, 'nobody'], { encoding: 'utf8' }).stdout.trim());
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'who', { uid: 'nobody' })]);
  await waitFor('its word', () => home.log('who-out.log').includes('done'));
  expect(home.log('who-out.log').split('\n').slice(0, 3)).toEqual([uid, gid, groups]);
  // It can tell its keeper, and is stopped, all the same.
  const { pid } = await first(home);
  await home.manager.act('who', 'stop', {});
  await waitForDeath([/** @type {number} */ (pid)]);
});

test('a user that is not there is said to be so', async () => {
  const home = new Home();
  home.write('who.sh', 'sleep 100');
  await home.manager.ensureDaemon();
  await home.manager.start([app(home, 'who', { uid: 'nobody-of-that-name' })]).catch(() => {});
  expect(await first(home)).toMatchObject({ state: 'errored', lastError: 'there is no user "nobody-of-that-name"' });
});
