'use strict';

// What the workers of a cluster write: each line knows its worker, whoever dies.

const fs = require('node:fs');
const path = require('node:path');

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const SERVER = `
  const { NODE_APP_INSTANCE: seat } = process.env;
  require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
  console.log('out of ' + seat + ' ' + process.pid);
  console.error('error of ' + seat);`;

/** Each writes numbered lines without an end. */
const WRITER = `
  const { NODE_APP_INSTANCE: seat } = process.env;
  let number = 0;
  require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
  process.on('SIGINT', () => {});
  setInterval(() => { for (let i = 0; i < 20; i++) console.log(process.pid + ' ' + number++); }, 2);
  require('fs').writeFileSync('pid-' + seat, String(process.pid));`;

/** @param {Home} home @param {string[]} words */
async function lines(home, ...words) {
  const { stdout } = await home.run('logs', ...words, '--nostream', '--json');
  return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

test('each worker has files of its own, and its lines its number and its process', async () => {
  const home = new Home();
  home.write('server.js', SERVER);
  const [{ ids, workers, processes: [primary] }] = await home.json('start', 'server.js', '-i', '2');
  await waitFor('what all have written', () => [0, 1].every((seat) => home.log(`server-error-${seat}.log`) !== ''));
  const pids = workers.map((/** @type {any} */ { pid }) => pid);
  expect([home.log('server-out-0.log'), home.log('server-out-1.log')]).toEqual([`out of 0 ${pids[0]}\n`, `out of 1 ${pids[1]}\n`]);
  await waitFor('what the primary has to say', () => home.log('server-error.log').includes('2 workers are ready'));
  const all = await lines(home, 'server');
  const of = (/** @type {any} */ { instance, pid, stream, msg }) => [instance, pid, stream, msg];
  expect(all.map(of)).toEqual(expect.arrayContaining([
    [0, pids[0], 'out', `out of 0 ${pids[0]}`], [1, pids[1], 'out', `out of 1 ${pids[1]}`], [1, pids[1], 'error', 'error of 1'], [null, primary.pid, 'error', 'rcluster: 2 workers are ready'],
  ]));
  // By the number of the listing, a worker alone.
  expect((await lines(home, String(ids[1]))).map(of)).toEqual([[1, pids[1], 'out', `out of 1 ${pids[1]}`], [1, pids[1], 'error', 'error of 1']]);
  const paths = JSON.parse((await home.run('jlist')).stdout).map((/** @type {any} */ one) => one.pm2_env.pm_out_log_path);
  expect(paths).toEqual([0, 1].map((seat) => path.join(home.path, 'logs', `server-out-${seat}.log`)));
});

test('with merge_logs they share the files, and are told apart all the same', async () => {
  const home = new Home();
  home.write('server.js', SERVER);
  const [{ ids, workers }] = await home.json('start', 'server.js', '-i', '2', '--merge-logs', '--log-type', 'json', '-o', 'all.log');
  const file = path.join(home.folder, 'all.log');
  await waitFor('lines of both', () => fs.readFileSync(file, 'utf8').trim().split('\n').length === 2);
  const written = fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  expect(written.map(({ instance, pid }) => [instance, pid]).sort()).toEqual(workers.map((/** @type {any} */ { seat, pid }) => [seat, pid]));
  expect((await lines(home, String(ids[0]), '--out')).map(({ pid }) => pid)).toEqual([workers[0].pid]);
});

test('a worker that is new, and one that nobody wants to hear', async () => {
  const home = new Home();
  home.write('server.js', SERVER);
  await home.run('start', 'server.js', '-i', '1', '-o', '/dev/null');
  await waitFor('what the only one has written', () => home.log('server-error.log').includes('error of 0'));
  await home.run('scale', 'server', '2');
  await waitFor('what the second one has written', () => home.log('server-error-1.log') === 'error of 1\n');
  await home.run('reload', 'server');
  await waitFor('what the next ones have written', () => home.log('server-error-1.log') === 'error of 1\nerror of 1\n' && home.log('server-error-0.log') === 'error of 0\n');
  expect(fs.readdirSync(path.join(home.path, 'logs')).filter((name) => name.includes('-out'))).toEqual([]);
});

test('no line of a worker is lost when its primary, the daemon and it itself are killed', async () => {
  const home = new Home();
  home.write('writer.js', WRITER);
  const [{ processes: [{ pid: primary }], workers }] = await home.json('start', 'writer.js', '-i', '2');
  const [first, second] = workers.map((/** @type {any} */ { pid }) => pid);
  const last = (/** @type {number} */ seat, /** @type {number} */ pid) => Number(home.log(`writer-out-${seat}.log`).trim().split('\n').findLast((line) => line.startsWith(`${pid} `))?.split(' ')[1] ?? -1);
  await waitFor('lines', () => last(0, first) > 1000 && last(1, second) > 1000);
  process.kill(home.daemonPid(), 'SIGKILL');
  const before = last(0, first);
  await waitFor('lines without a daemon', () => last(0, first) > before + 500);
  process.kill(primary, 'SIGKILL');
  await waitFor('another primary', async () => (await home.json('list'))[0].processes[0].state === 'online');
  const [{ workers: next }] = await home.json('list');
  process.kill(next[0].pid, 'SIGKILL');
  await waitFor('the third worker of the first place', async () => ![undefined, null, next[0].pid].includes((await home.json('list'))[0].workers[0].pid));
  await home.run('stop', 'writer');
  // Each process has counted without a gap, from its first line to its last.
  const pids = new Set();
  for (const seat of [0, 1]) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const line of home.log(`writer-out-${seat}.log`).trim().split('\n')) {
      const [pid, number] = line.split(' ');
      expect(Number(number)).toBe(counts.get(pid) ?? 0);
      counts.set(pid, Number(number) + 1);
    }
    for (const pid of counts.keys()) pids.add(Number(pid));
  }
  expect([...pids]).toEqual(expect.arrayContaining([first, second, next[0].pid, next[1].pid]));
});
