'use strict';

// What an app wants of its processes: how they are asked to end, when they are ready, and when and how soon another one follows.

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const ENV = { PATH: `${process.env.PATH}` };
/** How long (ms) a program may take that is not to be killed meanwhile. */
const LONG = 60_000;

/** @param {Home} home */
const first = async (home) => (await home.manager.list())[0].processes[0];

/**
 * Starts one program.
 *
 * @param {string} script its name
 * @param {string} text
 * @param {object} rules
 */
async function begin(script, text, rules) {
  const home = new Home();
  home.write(script, text);
  await home.manager.ensureDaemon();
  const started = home.manager.start([{ name: 'app', mode: 'program', script, cwd: home.folder, env: ENV, minUptime: 1, ...rules }]);
  started.catch(() => {});
  return { home, started };
}

/** @param {Home} home */
const lines = (home) => {
  try {
    return home.log('app-out.log').split('\n').filter(Boolean);
  } catch {
    return []; // not there yet
  }
};

/** @param {Home} home @param {string} line */
const says = (home, line) => waitFor(line, () => lines(home).includes(line));

/** @param {Home} home @param {string} state */
const becomes = (home, state) => waitFor(state, async () => {
  const one = await first(home);
  return one.state === state && one;
});

test('it is asked to end by the signal that it wants', async () => {
  const { home, started } = await begin('app.sh', `
    for name in INT TERM; do trap "echo $name" $name; done
    trap 'echo USR2; exit 3' USR2
    echo ready
    while :; do sleep 0.05; done`, { killSignal: 'SIGUSR2', killTimeout: LONG });
  await started;
  await says(home, 'ready');
  await home.manager.stop('app');
  expect([await first(home), lines(home)]).toMatchObject([{ state: 'stopped', exitCode: 3, signal: null }, ['ready', 'USR2']]);
});

test('it is asked to end by a message, if it wants that, and by no signal', async () => {
  const { home, started } = await begin('app.js', `
    process.on('SIGINT', () => console.log('signal'));
    process.on('message', (message) => { console.log(message); process.exit(4); });
    console.log('ready');
    setInterval(() => {}, 1e6);`, { shutdownWithMessage: true, killTimeout: LONG });
  await started;
  await says(home, 'ready');
  await home.manager.stop('app');
  expect([await first(home), lines(home)]).toMatchObject([{ state: 'stopped', exitCode: 4 }, ['ready', 'shutdown']]);
});

test('it is online when it says so, and not before', async () => {
  const { home, started } = await begin('app.js', `
    const fs = require('fs');
    console.log('begins');
    const timer = setInterval(() => fs.existsSync('go') && process.send('ready'), 10);`, { waitReady: true, listenTimeout: LONG });
  await says(home, 'begins');
  expect(await first(home)).toMatchObject({ state: 'launching', restarts: 0 });
  home.write('go', '');
  const [{ processes: [one] }] = await started;
  expect(one).toMatchObject({ state: 'online', restarts: 0 });
});

test('what is not ready in time has failed', async () => {
  const { home, started } = await begin('app.js', 'setInterval(() => {}, 1e6);', { waitReady: true, listenTimeout: 100, maxRestarts: 2, killTimeout: 100 });
  await started.catch(() => {});
  expect(await becomes(home, 'errored')).toMatchObject({ pid: null, restarts: 1, lastError: 'ended too soon 2 times in a row' });
});

test('none follows after an exit code that says so; after others one does', async () => {
  const text = 'process.exit(require("fs").existsSync("again") ? 8 : 7)';
  const { home, started } = await begin('app.js', text, { stopExitCodes: [7], maxRestarts: 2, minUptime: 1000 });
  await started.catch(() => {});
  expect(await becomes(home, 'stopped')).toMatchObject({ exitCode: 7, restarts: 0 });
  home.write('again', '');
  await home.manager.resume('app').catch(() => {});
  expect(await becomes(home, 'errored')).toMatchObject({ exitCode: 8, restarts: 1 });
});

test('the next one follows after the pause that it wants, or when it is asked for', async () => {
  const { home, started } = await begin('app.sh', 'while :; do sleep 1; done', { restartDelay: LONG });
  const [{ processes: [{ pid }] }] = await started;
  process.kill(/** @type {number} */ (pid), 'SIGKILL');
  expect(await becomes(home, 'waiting restart')).toMatchObject({ pid: null, signal: 'SIGKILL', restarts: 0 });
  await home.manager.resume('app');
  expect(await first(home)).toMatchObject({ state: 'online', restarts: 1 });
});

test('pauses grow from one that ends too soon to the next', async () => {
  const { home, started } = await begin('app.sh', 'date +%s%3N', { expBackoff: 400, maxRestarts: 4, minUptime: LONG });
  await started.catch(() => {});
  await becomes(home, 'errored');
  const times = lines(home).map(Number);
  const pauses = times.slice(1).map((time, index) => time - times[index]);
  expect(pauses.map((pause, index) => pause >= 400 * 1.5 ** index)).toEqual([true, true, true]);
});

test('reload starts instances anew one after the other: one of them is always there', async () => {
  const { home, started } = await begin('app.js', `
    const say = (what) => require('node:fs').writeSync(1, what + ' ' + process.env.NODE_APP_INSTANCE + '\\n');
    process.on('SIGINT', () => process.exit(say('ends') && 0));
    say('begins');
    setInterval(() => {}, 1e6);
    process.send('ready');`, { instances: 3, mergeLogs: true, waitReady: true, listenTimeout: LONG });
  await started;
  await waitFor('all of them', () => lines(home).length === 3);
  expect(await home.manager.reload('app')).toMatchObject([{ kind: 'one-by-one' }]);
  await waitFor('all of it', () => lines(home).length === 9);
  const since = lines(home).slice(3);
  expect(since.filter((line) => line.startsWith('ends'))).toEqual(['ends 0', 'ends 1', 'ends 2']);
  // A new one is there when it was started, and may say so later.
  const there = since.map(((count) => (/** @type {string} */ line) => (count += line.startsWith('ends') ? -1 : 1))(3));
  expect(Math.min(...there)).toBeGreaterThan(0);
});
