'use strict';

// What can be started, with PM2's options.

const fs = require('node:fs');
const path = require('node:path');

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const SLEEP = 'setInterval(() => {}, 1e6)';

test('every option says what its key says', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  fs.mkdirSync(path.join(home.folder, 'sub'));
  const { code, stderr } = await home.run(
    'start', 'sleep.js', '-n', 'x', '--namespace', 'ns', '--node-args=--no-warnings --trace-uncaught', '--args', 'one "two three"', '-o', 'o.log', '-e', 'e.log', '--merge-logs', '--time',
    '--max-restarts', '7', '--min-uptime', '20', '--restart-delay', '1s', '--exp-backoff-restart-delay', '100', '--stop-exit-codes', '0', '9', '--kill-timeout', '3000', '--kill-signal', 'SIGTERM',
    '--listen-timeout', '4000', '--max-memory-restart', '200M', '--no-treekill', '--shutdown-with-message', '--no-autorestart', '--no-vizion', '--', 'four',
  );
  expect([code, stderr]).toEqual([0, 'rcluster: --no-vizion does nothing here\n']);
  const [app] = await home.json('describe', 'x');
  expect(app).toMatchObject({
    name: 'x', namespace: 'ns', mode: 'program', interpreterArgs: ['--no-warnings', '--trace-uncaught'], args: ['one', 'two three', 'four'], outFile: 'o.log', errorFile: 'e.log', mergeLogs: true, logFormat: 'time',
    maxRestarts: 7, minUptime: 20, restartDelay: 1000, expBackoff: 100, stopExitCodes: [0, 9], killTimeout: 3000, killSignal: 'SIGTERM', listenTimeout: 4000, maxMemory: 200 * 2 ** 20, treekill: false,
    shutdownWithMessage: true, autorestart: false,
  });
});

test('scripts of any language, programs of the PATH and command lines', async () => {
  const home = new Home();
  home.write('a.sh', 'while :; do sleep 1; done');
  home.write('b.js', SLEEP);
  expect((await home.run('start', 'a.sh', 'b.js')).code).toBe(0);
  expect((await home.run('start', 'sleep', '-n', 'program', '--', '1000')).code).toBe(0);
  expect((await home.run('start', 'echo $WORD; sleep 1000', '-n', 'line')).code).toBe(0);
  const apps = await home.json('list');
  expect(apps.map((/** @type {any} */ { name, processes }) => [name, processes[0].state])).toEqual([['a', 'online'], ['b', 'online'], ['program', 'online'], ['line', 'online']]);
  expect((await home.run('start', 'no-such-program')).stderr).toBe('rcluster: there is no script "no-such-program"\n');
});

test('instances of a Node script are a cluster, of anything else processes, as under PM2', async () => {
  const home = new Home();
  home.write('queue.js', SLEEP);
  home.write('a.sh', 'sleep 1000');
  home.write('ecosystem.config.js', `module.exports = { apps: [
    { name: 'queue', script: 'queue.js', instances: 2, ready: 'online' }, { name: 'sh', script: 'a.sh', instances: 2 }, { name: 'fork', script: 'queue.js', instances: 2, exec_mode: 'fork' },
  ] }`);
  expect((await home.run('start', 'ecosystem.config.js')).code).toBe(0);
  const apps = await home.json('list');
  expect(apps.map((/** @type {any} */ { name, mode, processes }) => [name, mode, processes.map((/** @type {any} */ { state }) => state)])).toEqual([
    ['queue', 'cluster', ['online']], ['sh', 'program', ['online', 'online']], ['fork', 'program', ['online', 'online']],
  ]);
  expect(apps[0].workers.length).toBe(2);
});

test('a cluster is online when it has said so, however long that takes', async () => {
  const home = new Home();
  home.write('late.js', `
    const fs = require('fs');
    const timer = setInterval(() => {
      if (!fs.existsSync('go')) return;
      clearInterval(timer);
      require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
    }, 20);`);
  const { code, stderr } = await home.run('start', 'late.js', '-i', '2', '--listen-timeout', '300');
  expect([code, stderr]).toEqual([1, 'rcluster: late (0): was not ready after 300 ms, and is waited for: workers that are slow need a longer listen_timeout, those that do not listen ready: \'online\'\n']);
  const [before] = await home.json('list');
  expect([before.processes[0].state, before.processes[0].lastError]).toEqual(['launching', 'was not ready after 300 ms']);
  expect((await home.json('jlist')).map((/** @type {any} */ { pm2_env: { status } }) => status)).toEqual(['launching', 'launching']);
  home.write('go', '');
  await waitFor('both to listen', async () => (await home.json('list'))[0].processes[0].state === 'online');
  const [after] = await home.json('list');
  expect([after.processes[0].lastError, after.processes[0].pid]).toEqual([null, before.processes[0].pid]);
  expect(after.workers.map((/** @type {any} */ { state }) => state)).toEqual(['ready', 'ready']);
});

test('when a cluster is said to be online all its workers are', async () => {
  const home = new Home();
  home.write('server.js', "require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1')");
  for (let round = 0; round < 5; round++) {
    // On a busy machine three seconds may be short.
    const start = ['start', 'server.js', '-n', `server${round}`, '-i', '3', '--listen-timeout', '20000'];
    const [{ processes: [{ state }], workers }] = await home.json(...start);
    expect([state, ...workers.map((/** @type {any} */ worker) => worker.state)]).toEqual(['online', 'ready', 'ready', 'ready']);
  }
  for (const count of [4, 5, 2, 3]) {
    const [{ workers }] = await home.json('scale', 'server0', String(count));
    expect(workers.map((/** @type {any} */ { seat, state }) => [seat, state])).toEqual(Array.from({ length: count }, (_, seat) => [seat, 'ready']));
  }
});

test.each([
  [['start', 'a.js', '--ext', 'js'], 2, "--ext is not there: --watch '**/*.js' watches files of one kind"],
  [['start', 'a.js', '--bogus'], 2, 'there is no option --bogus'],
  [['start', 'a.js', '--wait-redy'], 2, 'there is no option --wait-redy: did you mean --wait-ready?'],
  [['start', 'a.js', '--name'], 2, '--name needs a value'],
  [['start', 'a.js', '-i', 'many'], 2, `--instances must be a whole number, or 'max'. Received "many"`],
  [['start', 'ecosystem.config.js'], 1, 'there is no configuration file "ecosystem.config.js"'],
  [['start'], 2, 'start: what? Give a script or a configuration file; there is none in this folder'],
  [['plus'], 1, 'plus: there is no service to link to: rcluster web opens a page of your own, and the events of the API are for any monitoring'],
  [['set', 'a', 'b'], 1, 'set: there are no settings: what an app is to be like is said in its configuration file (docs/config.md)'],
  [['startup', 'upstart'], 2, "startup: there are units of systemd alone. Received 'upstart'"],
])('%j is refused in one sentence', async (words, code, line) => {
  const home = new Home();
  home.write('a.js', SLEEP);
  expect(await home.run(...words)).toEqual({ code, stdout: '', stderr: `rcluster: ${line}\n` });
});

test('silence, and listings for scripts', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  expect(await home.run('start', 'a.js', '-s')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await home.run('-s', 'stop', 'a')).stdout).toBe('');
  expect((await home.run('list', '-m')).stdout).toBe('0 a stopped\n');
  expect((await home.run('id', 'a')).stdout).toBe('[ 0 ]\n');
  expect([await home.json('pid', 'a'), await home.json('pid')]).toEqual([[0], [0]]);
  await home.run('start', 'a.js', '-n', 'b');
  expect((await home.json('delete', 'a')).map((/** @type {any} */ { name }) => name)).toEqual(['b']);
});

test('restart takes the environment of the command when it is told to, and other options', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.runWith({ env: { WHO: 'first' } }, 'start', 'a.js');
  await home.runWith({ env: { WHO: 'second' } }, 'restart', 'a');
  expect((await home.json('env', 'a')).WHO).toBe('first');
  await home.runWith({ env: { WHO: 'second' } }, 'restart', 'a', '--update-env');
  expect((await home.json('env', 'a')).WHO).toBe('second');
  const [{ pid }] = (await home.json('list'))[0].processes;
  expect(fs.readFileSync(`/proc/${pid}/environ`, 'utf8')).toContain('WHO=second\0');
  await home.run('restart', 'a', '--max-memory-restart', '300M', '--', 'argument');
  expect((await home.json('describe', 'a'))[0]).toMatchObject({ maxMemory: 300 * 2 ** 20, args: ['argument'] });
  await home.run('restart', 'a', '-i', '2');
  expect((await home.json('list'))[0].processes.length).toBe(2);
});

test('new workers of a cluster have the environment that a reload is given', async () => {
  const home = new Home();
  home.write('server.js', 'require("http").createServer((_, answer) => answer.end()).listen(0, "127.0.0.1")');
  await home.runWith({ env: { WHO: 'first' } }, 'start', 'server.js', '-i', '1');
  const environ = async () => {
    const [{ workers: [{ pid }] }] = await home.json('list');
    return fs.readFileSync(`/proc/${pid}/environ`, 'utf8');
  };
  expect(await environ()).toContain('WHO=first\0');
  const [before] = await home.json('list');
  const [{ kind }] = JSON.parse((await home.runWith({ env: { WHO: 'second' } }, 'reload', 'server', '--update-env', '--json')).stdout);
  expect(kind).toBe('zero-loss');
  await waitFor('the new environment', async () => (await environ()).includes('WHO=second\0'));
  const [after] = await home.json('list');
  expect(after.processes[0].pid).toBe(before.processes[0].pid);
});
