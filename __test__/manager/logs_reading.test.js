'use strict';

// `rcluster logs`: several logs merged by time, and followed through whatever becomes of their files, programs and daemon.

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message, timeout: 60_000 });

/** Says what it is told to say, to the stream that it is told. */
const PARROT = `process.on('message', ({ stream, text }) => process[stream ?? 'stdout'].write(text + '\\n')); setInterval(() => {}, 1e6);`;

/** Lines of several logs come in the order in which they were read, to so many ms (docs/logs.md). */
const MOMENT = 10;

/**
 * Starts the command and gathers what it prints.
 *
 * @param {Home} home
 * @param {...string} words
 */
function begin(home, ...words) {
  const child = home.spawn(['logs', ...words]);
  const printed = { child, out: '', err: '', lines: () => printed.out.split('\n').slice(0, -1) };
  child.stdout.on('data', (chunk) => (printed.out += chunk));
  child.stderr.on('data', (chunk) => (printed.err += chunk));
  return printed;
}

/** @param {Home} home @param {string} app @param {string} text @param {string} [stream] */
async function say(home, app, text, stream) {
  await home.manager.act(app, 'send', { message: { text, stream } });
  const name = stream === 'stderr' ? `${app}-error.log` : `${app}-out.log`;
  await waitFor(text, () => home.log(name).endsWith(`${text}\n`));
}

/** Two apps that have said things in turn. */
async function talk() {
  const home = new Home();
  home.write('parrot.js', PARROT);
  for (const name of ['a', 'bb']) await home.run('start', 'parrot.js', '-n', name, ...(name === 'a' ? ['--time'] : []));
  for (const [app, text, stream] of [['a', 'one'], ['bb', 'two'], ['a', 'oops', 'stderr'], ['bb', 'three x three'], ['a', 'four']]) {
    await say(home, app, text, stream);
    const read = Date.now();
    // What is read within that time has no order.
    await waitFor('another moment', () => Date.now() - read > MOMENT);
  }
  return home;
}

test('the last lines of all apps, in the order in which they were written', async () => {
  const home = await talk();
  const plain = (/** @type {string} */ text) => text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, 'TIME');
  // As under PM2, who asks for both streams gets both.
  expect((await home.run('logs', 'a', '--nostream', '--raw', '--err', '--out')).stdout.match(/one|oops|four/g)).toEqual(['one', 'oops', 'four']);
  const logs = async (/** @type {string[]} */ ...words) => plain((await home.run('logs', '--nostream', ...words)).stdout);
  expect(await logs()).toBe('0|a | TIME: one\n0|bb | two\n0|a  | TIME: oops\n0|bb | three x three\n0|a  | TIME: four\n');
  expect(await logs('--lines', '2', '--raw')).toBe('three x three\nTIME: four\n');
  expect(await logs('--lines', '0')).toBe('');
  expect(await logs('a', '--err', '--raw')).toBe('TIME: oops\n');
  expect(await logs('--out', '--lines', '2', '--raw')).toBe('three x three\nTIME: four\n');
  expect(await logs('bb', '--timestamp')).toBe('0|bb | TIME: two\n0|bb | TIME: three x three\n');
  expect(await logs('--grep', '^t.*e$', '--lines', '1', '--raw')).toBe('three x three\n');
  expect(await logs('--grep', 'x', '--raw', '--highlight', 'three')).toBe('\u001b[7mthree\u001b[0m x \u001b[7mthree\u001b[0m\n');
  expect((await logs('--since', '1h', '--raw')).split('\n').length).toBe(6);
  expect(await logs('--since', '2999-01-01')).toBe('');
  const lines = (await home.run('logs', '--nostream', '--json', '--lines', '3')).stdout.trim().split('\n').map((line) => JSON.parse(line));
  const pids = Object.fromEntries((await home.manager.list()).map(({ name, processes }) => [name, processes[0].pid]));
  expect(lines.map(({ ts, prefix, ...rest }) => ({ ...rest, isTimed: Math.abs(Date.now() - Date.parse(ts)) < 60_000, hasPrefix: prefix !== undefined }))).toEqual([
    { app: 'a', instance: 0, pid: pids.a, stream: 'error', msg: 'oops', isTimed: true, hasPrefix: true },
    { app: 'bb', instance: 0, pid: pids.bb, stream: 'out', msg: 'three x three', isTimed: true, hasPrefix: false },
    { app: 'a', instance: 0, pid: pids.a, stream: 'out', msg: 'four', isTimed: true, hasPrefix: true },
  ]);
});

test('lines are counted over files that were set aside and compressed; what was emptied is gone', async () => {
  const home = new Home();
  home.write('count.js', `let text = ''; for (let i = 0; i < 30_000; i++) text += 'line ' + i + ' ' + 'x'.repeat(i % 90) + '\\n'; process.stdout.write(text);`);
  home.write('apps.json', JSON.stringify({ apps: [{ name: 'app', script: 'count.js', autorestart: false, max_size: '200K', retain: 100 }] }));
  await home.run('start', 'apps.json');
  await waitFor('compressed files', () => fs.readdirSync(path.join(home.path, 'logs')).filter((file) => file.endsWith('.gz')).length >= 3);
  const numbers = async (/** @type {string[]} */ ...words) => (await home.run('logs', '--nostream', '--raw', ...words)).stdout.trim().split('\n').map((line) => Number(line.split(' ')[1]));
  await waitFor('its end', async () => (await home.manager.list())[0].processes[0].state === 'stopped');
  expect(await numbers('--lines', '20000')).toEqual(Array.from({ length: 20_000 }, (_, index) => 10_000 + index));
  expect((await numbers('--since', '1h')).length).toBe(30_000);
  expect(await numbers('--grep', ' xxx$', '--lines', '3')).toEqual([29_793, 29_883, 29_973]);
  await home.run('flush');
  expect((await home.run('logs', '--nostream')).stdout).toBe('');
});

test('a log that is followed shows each line once, whatever becomes of its file, its program and the daemon', async () => {
  const home = new Home();
  home.write('count.js', `const fs = require('fs'); let i = 0; setInterval(() => { for (let n = 0; n < 7; n++) fs.writeSync(1, process.pid + ' ' + i++ + '\\n'); }, 2);`);
  home.write('apps.json', JSON.stringify({ apps: [{ name: 'app', script: 'count.js', max_size: '8K', retain: 1000, kill_signal: 'SIGTERM' }] }));
  await home.run('start', 'apps.json');
  const followed = begin(home, 'app', '--lines', '100000', '--raw');
  const count = () => followed.lines().length;
  for (let round = 0; round < 3; round++) {
    const before = count();
    await waitFor('lines', () => count() > before + 1000);
    process.kill(home.daemonPid(), 'SIGKILL');
    await home.manager.ensureDaemon();
    const then = count();
    await waitFor('more lines', () => count() > then + 500);
    if (round === 1) process.kill(/** @type {number} */ ((await home.manager.list())[0].processes[0].pid), 'SIGKILL');
  }
  await home.run('stop', 'app');
  const whole = () => home.run('logs', '--nostream', '--raw', '--lines', '10000000');
  const { stdout } = await whole();
  await waitFor('the last line', () => followed.out.length >= stdout.length);
  expect(followed.out).toBe(stdout);
  /** @type {Map<string, number>} */
  const next = new Map();
  const wrong = followed.lines().filter((line) => {
    const [pid, number] = line.split(' ');
    const wanted = next.get(pid) ?? 0;
    next.set(pid, wanted + 1);
    return Number(number) !== wanted;
  });
  expect([wrong, next.size]).toEqual([[], 2]);
  expect(fs.readdirSync(path.join(home.path, 'logs')).filter((file) => file.startsWith('app-out.log.')).length).toBeGreaterThan(3);
}, 120_000);

test.each([
  ['deleted', (/** @type {string} */ folder) => fs.rmSync(folder, { recursive: true, maxRetries: 10 })],
  ['moved away', (/** @type {string} */ folder) => fs.renameSync(folder, `${folder}-aside`)],
])('a log that is followed goes on when its folder is %s', async (_, lose) => {
  const home = new Home();
  home.write('count.js', "let i = 0; setInterval(() => console.log(i++), 5)");
  await home.run('start', 'count.js');
  const followed = begin(home, 'count', '--lines', '100000', '--raw');
  for (let round = 0; round < 2; round++) {
    const before = followed.lines().length;
    await waitFor('lines', () => followed.lines().length > before + 20);
    lose(path.join(home.path, 'logs'));
    fs.rmSync(path.join(home.path, 'logs-aside'), { recursive: true, force: true });
    const then = followed.lines().length;
    await waitFor('more lines', () => followed.lines().length > then + 20);
  }
  // What was written just before it went is gone with it; nothing is there twice.
  const numbers = followed.lines().map(Number);
  expect(numbers.filter((number, index) => index > 0 && number <= numbers[index - 1])).toEqual([]);
});

test('apps and instances that come later are followed as well', async () => {
  const home = new Home();
  home.write('parrot.js', PARROT);
  await home.run('start', 'parrot.js', '-n', 'a');
  const followed = begin(home, '--raw');
  await say(home, 'a', 'one');
  await waitFor('one', () => followed.out === 'one\n');
  await home.run('start', 'parrot.js', '-n', 'b');
  await say(home, 'b', 'two');
  await waitFor('two', () => followed.out === 'one\ntwo\n');
});

test('who follows goes on with the next daemon, and starts none when all was ended', async () => {
  const home = new Home();
  home.write('parrot.js', PARROT);
  await home.run('start', 'parrot.js', '-n', 'a');
  const followed = begin(home, '--raw');
  await say(home, 'a', 'one');
  await waitFor('one', () => followed.out === 'one\n');
  await home.manager.kill();
  // Three times as long as it waits before it looks again.
  await sleep(600);
  expect([await home.manager.isRunning(), followed.child.exitCode]).toEqual([false, null]);
  await home.run('start', 'parrot.js', '-n', 'a');
  await say(home, 'a', 'two');
  await waitFor('two', () => followed.out === 'one\ntwo\n');
});

test('Ctrl-C ends it, and so does a reader that goes away', async () => {
  const home = await talk();
  const followed = begin(home);
  await waitFor('lines', () => followed.lines().length === 5);
  followed.child.kill('SIGINT');
  await waitFor('its end', () => followed.child.signalCode === 'SIGINT' || followed.child.exitCode !== null);
  expect(followed.err).toBe('');
  const headed = begin(home, '--raw');
  await waitFor('lines', () => headed.lines().length === 5);
  headed.child.stdout?.destroy();
  await say(home, 'a', 'five');
  await waitFor('its end', () => headed.child.exitCode !== null);
  expect([headed.child.exitCode, headed.err]).toEqual([0, '']);
});

test('a reader that does not read makes nothing grow', async () => {
  const home = new Home();
  home.write('large.js', `const line = 'x'.repeat(999) + '\\n'; for (let i = 0; i < 60; i++) require('fs').writeSync(1, line.repeat(60));`);
  home.write('apps.json', JSON.stringify({ apps: [{ name: 'app', script: 'large.js', autorestart: false, max_size: 0 }] }));
  await home.run('start', 'apps.json');
  await waitFor('its end', async () => (await home.manager.list())[0].processes[0].state === 'stopped');
  const log = path.join(home.path, 'logs', 'app-out.log');
  for (let i = 0; i < 4; i++) fs.appendFileSync(log, fs.readFileSync(log));
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${home.daemonPid()}/status`, 'utf8'))?.[1]);
  const before = memory();
  const readers = [];
  for (let i = 0; i < 5; i++) {
    const request = http.get({ socketPath: path.join(home.path, 'daemon.sock'), path: '/v1/logs?since=1970-01-01' });
    request.on('error', () => undefined);
    readers.push(request);
    request.on('response', (response) => response.pause());
    await once(request, 'response');
  }
  await sleep(500);
  expect(memory() - before).toBeLessThan(20_000);
  readers.forEach((request) => request.destroy());
  const { stdout } = await home.run('logs', '--nostream', '--lines', '3', '--raw');
  expect(stdout).toBe(`${'x'.repeat(999)}\n`.repeat(3));
});

test.each([
  [['--lines', 'many'], "--lines must be a whole number, 0 or more. Received 'many'"],
  [['--since', 'soon'], '--since must be a time such as 10m or 2026-03-04T15:06:07Z. Received "soon"'],
  [['--grep', '(a'], '--grep must be a regular expression (unclosed group). Received "(a"'],
  [['--lnes', '3'], 'there is no option --lnes: did you mean --lines?'],
])('logs %j is wrong usage', async (words, message) => {
  const home = new Home();
  const { code, stderr } = await home.run('logs', ...words);
  expect([code, stderr.trim().replace(/^rcluster: /, '')]).toEqual([2, message]);
});

test('an app that is not there is said not to be', async () => {
  const home = new Home();
  expect(await home.run('logs', 'nothing')).toMatchObject({ code: 1, stdout: '', stderr: 'rcluster: there is no app, number or namespace "nothing"\n' });
});
