'use strict';

// What programs write is in their log files: all of it, once, in order and whole, whatever happens to the disk and to the manager.

const { execFile, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { promisify } = require('node:util');

const { testUnless } = require('../helpers/needs');
const { mounting } = require('../helpers/rights');
const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message, timeout: 60_000 });

/** Writes so many numbered lines and ends. */
const COUNT = (/** @type {number} */ count) => `
  const { writeSync } = require('node:fs');
  function write(text) { const bytes = Buffer.from(text); for (let at = 0; at < bytes.length; ) { try { at += writeSync(1, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; } } }
  let text = '';
  for (let i = 0; i < ${count}; i++) { text += \`line \${i} of a program that writes\\n\`; if (text.length > 3000) { write(text); text = ''; } }
  write(text);`;

/** @param {Home} home @param {object} app */
async function start(home, app) {
  home.write('apps.json', JSON.stringify({ apps: [{ name: 'app', script: 'app.js', autorestart: false, ...app }] }));
  return home.run('start', 'apps.json');
}

/** @param {Home} home */
const stopped = (home) => waitFor('its end', async () => (await home.manager.list())[0].processes.every(({ state }) => state === 'stopped'));

/** All that is in a log and in what was set aside of it. @param {Home} home @param {string} name */
function whole(home, name) {
  const folder = path.join(home.path, 'logs');
  const files = fs.readdirSync(folder).filter((file) => file.startsWith(`${name}.`) && !file.endsWith('.part')).sort();
  const plain = files.filter((file) => !file.endsWith('.gz') && files.includes(`${file}.gz`));
  const texts = files.filter((file) => !plain.includes(file)).map((file) => {
    const bytes = fs.readFileSync(path.join(folder, file));
    return (file.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes).toString();
  });
  return { files, text: `${texts.join('')}${home.log(name)}` };
}

test('300,000 lines are there, once, whole and in order, in files that were set aside and compressed', async () => {
  const home = new Home();
  home.write('app.js', COUNT(300_000));
  await start(home, { max_size: '1M', retain: 100 });
  await stopped(home);
  await waitFor('all to be compressed', () => {
    const found = fs.readdirSync(path.join(home.path, 'logs')).filter((file) => file.startsWith('app-out.log.'));
    return found.length >= 9 && found.every((file) => file.endsWith('.gz'));
  });
  const { files, text } = whole(home, 'app-out.log');
  const lines = text.split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.length).toBe(300_000);
  expect(lines.findIndex((line, index) => line !== `line ${index} of a program that writes`)).toBe(-1);
  const sizes = files.map((file) => zlib.gunzipSync(fs.readFileSync(path.join(home.path, 'logs', file))).length);
  expect(sizes.every((size) => size <= 2 ** 20 && size > 2 ** 20 - 100)).toBe(true);
});

test('only so many files are kept, and only so many bytes', async () => {
  const home = new Home();
  home.write('app.js', COUNT(100_000));
  await start(home, { max_size: '256K', retain: 3, compress: false });
  await stopped(home);
  expect(whole(home, 'app-out.log').files.length).toBe(3);
  const rest = whole(home, 'app-out.log').text.split('\n');
  expect(rest[rest.length - 2]).toBe('line 99999 of a program that writes');
  await home.run('delete', 'app');
  fs.rmSync(path.join(home.path, 'logs'), { recursive: true });
  await start(home, { max_size: '256K', retain: 100, max_total: '1M', compress: false });
  await stopped(home);
  expect(Buffer.byteLength(whole(home, 'app-out.log').text)).toBeLessThanOrEqual(2 ** 20 + 2 ** 18);
});

test('nothing is lost while the daemon is killed again and again', async () => {
  const home = new Home();
  home.write('app.js', `let i = 0; const timer = setInterval(() => { for (let n = 0; n < 20; n++) console.log('line', i++); if (i >= 4000) clearInterval(timer); }, 5);`);
  await start(home, {});
  for (let i = 0; i < 5; i++) {
    process.kill(home.daemonPid(), 'SIGKILL');
    await home.manager.ensureDaemon();
  }
  await stopped(home);
  expect(home.log('app-out.log')).toBe(Array.from({ length: 4000 }, (_, index) => `line ${index}\n`).join(''));
});

test('when a process is said to have ended, all that it wrote is there, a last line without an end as well', async () => {
  const home = new Home();
  home.write('app.js', `process.stdout.write('x'.repeat(60_000) + '\\nlast'); process.stderr.write('worse'); process.kill(process.pid, 'SIGKILL');`);
  for (let i = 1; i <= 5; i++) {
    await start(home, {});
    await stopped(home);
    expect([home.log('app-out.log').length, home.log('app-error.log')]).toEqual([60_006 * i, 'worse\n'.repeat(i)]);
    await home.run('delete', 'app');
  }
});

test('what a process leaves to others that outlive it is read on', async () => {
  const home = new Home();
  home.write('app.js', `
    const child = require('child_process').spawn('sh', ['-c', 'while [ ! -e go ]; do sleep 0.05; done; echo late'], { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    child.unref(); console.log('early');`);
  await start(home, { treekill: false });
  await waitFor('its end', async () => (await home.manager.list())[0].processes[0].pid === null);
  home.write('go', '');
  await waitFor('the late line', () => home.log('app-out.log') === 'early\nlate\n');
});

test('long lines, bytes that are no text, and characters that are cut', async () => {
  const home = new Home();
  home.write('app.js', `
    const { writeSync } = require('node:fs');
    const all = Buffer.concat([Buffer.from('ö'.repeat(600_000) + '\\n'), Buffer.from([0, 1, 0xff, 0xfe, 10]), Buffer.alloc(100, 7), Buffer.from([10])]);
    for (let at = 0; at < all.length; ) { try { at += writeSync(1, all, at, 7001); } catch (error) { if (error.code !== 'EAGAIN' && error.code !== 'ERR_OUT_OF_RANGE') throw error; if (error.code === 'ERR_OUT_OF_RANGE') at += writeSync(1, all, at); } }`);
  await start(home, {});
  await stopped(home);
  const bytes = fs.readFileSync(path.join(home.path, 'logs', 'app-out.log'));
  const tail = Buffer.concat([Buffer.from([0, 1, 0xff, 0xfe, 10]), Buffer.alloc(100, 7), Buffer.from([10])]);
  expect(bytes.subarray(-tail.length).equals(tail)).toBe(true);
  const records = bytes.subarray(0, -tail.length).toString().trimEnd().split('\n');
  expect(records.map((record) => Buffer.byteLength(record))).toEqual([2 ** 20, 1_200_000 - 2 ** 20]);
  expect(records.join('')).toBe('ö'.repeat(600_000));
});

test('a disk that is slow makes a program wait for a second, and then lines are dropped, counted and said', async () => {
  const home = new Home();
  // A pipe that nobody reads yet.
  const fifo = path.join(home.folder, 'slow.log');
  spawnSync('mkfifo', [fifo]);
  const total = 600_000;
  home.write('app.js', COUNT(total));
  await start(home, { out_file: fifo });
  // It ends although nothing was written: and the keeper answers all the time.
  await stopped(home);
  const { stdout } = await promisify(execFile)('timeout', ['10', 'sh', '-c', `sed /dropped/q < ${fifo}`], { maxBuffer: 2 ** 26 });
  const lines = stdout.trimEnd().split('\n');
  const [, dropped] = /^\[rcluster\] (\d+) lines were dropped: the disk was too slow$/.exec(lines.pop() ?? '') ?? [];
  expect(lines.findIndex((line, index) => line !== `line ${index} of a program that writes`)).toBe(-1);
  expect(lines.length + Number(dropped)).toBe(total);
  expect(lines.join('\n').length).toBeGreaterThan(8 * 2 ** 20 - 2 ** 16);
});

testUnless(mounting(), 'unshare')('a disk that is full stops nobody: old files go first, then lines, which are counted', async () => {
  const { stdout } = await promisify(execFile)('unshare', ['-rm', process.execPath, path.join(__dirname, '..', 'fixtures', 'manager', 'full_disk.js')], { maxBuffer: 2 ** 26 });
  const { LINES, rotated, filled, again } = JSON.parse(stdout);
  const numbers = (/** @type {string[]} */ lines) => lines.map((line) => Number(/^line (\d+) of a program that writes$/.exec(line)?.[1]));
  // The newest, without a gap.
  expect(numbers(rotated)).toEqual(Array.from({ length: rotated.length }, (_, index) => LINES - rotated.length + index));
  expect(rotated.length).toBeGreaterThan(5000);
  expect(numbers(filled)).toEqual(Array.from({ length: filled.length }, (_, index) => index));
  expect(again.slice(filled.length)).toEqual([`[rcluster] ${LINES - filled.length} lines were lost: No space left on device (os error 28)`, 'after']);
});

test('a log that is moved away, emptied or deleted with its folder goes on under its name', async () => {
  const home = new Home();
  home.write('app.js', `process.on('message', (text) => console.log(text)); setInterval(() => {}, 1e6);`);
  const log = path.join(home.folder, 'deep', 'a.log');
  await start(home, { out_file: log });
  const say = async (/** @type {string} */ text) => {
    await home.manager.act('app', 'send', { message: text });
    await waitFor(text, () => fs.existsSync(log) && fs.readFileSync(log, 'utf8').endsWith(`${text}\n`));
  };
  await say('one');
  fs.renameSync(log, `${log}.1`);
  expect((await home.run('reloadLogs')).code).toBe(0);
  await say('two');
  expect([fs.readFileSync(`${log}.1`, 'utf8'), fs.readFileSync(log, 'utf8')]).toEqual(['one\n', 'two\n']);
  fs.renameSync(log, `${log}.2`);
  process.kill(/** @type {number} */ ((await home.manager.list())[0].keeper), 'SIGUSR2');
  await waitFor('another file', () => fs.existsSync(log));
  await say('three');
  expect((await home.run('flush')).code).toBe(0);
  expect(fs.readFileSync(log, 'utf8')).toBe('');
  await say('four');
  expect(fs.readFileSync(log, 'utf8')).toBe('four\n');
  fs.rmSync(path.dirname(log), { recursive: true });
  await say('five');
});

test('lines wait for their file while the keeper has no descriptor left', async () => {
  const home = new Home();
  home.write('app.js', `process.on('message', (text) => console.error(text)); setInterval(() => {}, 1e6);`);
  await start(home, {});
  const [{ keeper }] = await home.manager.list();
  const limit = (/** @type {number} */ most) => spawnSync('prlimit', ['--pid', String(keeper), `--nofile=${most}:`]);
  const before = fs.readFileSync(`/proc/${keeper}/limits`, 'utf8').match(/open files +(\d+)/)?.[1];
  const open = fs.readdirSync(`/proc/${keeper}/fd`).map(Number);
  limit(Array.from({ length: open.length + 1 }, (_, fd) => fd).find((fd) => !open.includes(fd)) ?? 0);
  await home.manager.act('app', 'send', { message: 'the first' });
  limit(Number(before));
  await waitFor('it', () => home.log('app-error.log') === 'the first\n');
});

test('instances share files or not, both streams may be in one, and some are not wanted', async () => {
  const home = new Home();
  home.write('app.js', `console.log('out', process.env.NODE_APP_INSTANCE); console.error('error', process.env.NODE_APP_INSTANCE);`);
  await start(home, { exec_mode: 'fork', instances: 2, merge_logs: true, log_file: 'all.log', error_file: 'NULL', log_type: 'json' });
  await stopped(home);
  const read = (/** @type {string} */ file) => fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  expect(read(path.join(home.path, 'logs', 'app-out.log')).map(({ instance, msg }) => `${instance} ${msg}`).sort()).toEqual(['0 out 0', '1 out 1']);
  expect(read(path.join(home.folder, 'all.log')).map(({ stream, msg }) => `${stream} ${msg}`).sort()).toEqual(['error error 0', 'error error 1', 'out out 0', 'out out 1']);
  expect(fs.existsSync(path.join(home.folder, 'NULL'))).toBe(false);
});

test.each([
  ['a folder', (/** @type {Home} */ home) => home.folder, 'it is a folder'],
  ['below a file', (/** @type {Home} */ home) => path.join(home.write('file', ''), 'a.log'), 'what should be its folder is none'],
])('a log file that is %s is said to be so', async (_, file, why) => {
  const home = new Home();
  home.write('app.js', 'setInterval(() => {}, 1e6)');
  const { code, stderr } = await start(home, { out_file: file(home) });
  expect([code, stderr]).toEqual([1, `rcluster: app (0): the log file "${file(home)}" cannot be written: ${why}\n`]);
});
