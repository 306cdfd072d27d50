'use strict';

// A daemon or a keeper that is there and does nothing (SIGSTOP, or it hangs): whoever asks is told, and does not wait for ever.

const { isAlive } = require('../helpers/proc');
const { waitFor, waitForDeath } = require('../helpers/run');
const { Manager } = require('../../manager/client.js');
const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';

test('each verb says that the daemon is stopped', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  const pid = home.daemonPid();
  process.kill(pid, 'SIGSTOP');
  try {
    const verbs = [['list'], ['stop', 'a'], ['start', 'a.js', '-n', 'b'], ['logs', '--nostream'], ['kill']];
    const said = await Promise.all(verbs.map((words) => home.run(...words)));
    for (const one of said) {
      expect(one).toEqual({ code: 1, stdout: '', stderr: `rcluster: the daemon (process ${pid}) has said nothing for 15 s: it is stopped, and kill -CONT ${pid} lets it go on\n` });
    }
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect((await home.run('ping')).code).toBe(0);
}, 60_000);

test('what takes longer than the patience is waited for', async () => {
  const home = new Home();
  home.write('a.js', "process.on('SIGINT', () => setTimeout(process.exit, 1500)); console.log('up'); setInterval(() => {}, 1e6)");
  await home.run('start', 'a.js', '--kill-timeout', '10s');
  while (!home.log('a-out.log').includes('up'));
  const manager = new Manager({ home: home.path, patience: 600 });
  expect((await manager.stop('a'))[0].processes[0]).toMatchObject({ state: 'stopped', exitCode: 0 });
});

test('a keeper that is stopped is named, and its app stays listed', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  const [{ keeper }] = await home.json('list');
  process.kill(keeper, 'SIGSTOP');
  try {
    const text = `rcluster: "a": its keeper (process ${keeper}) has said nothing for 8 s: it is stopped, and kill -CONT ${keeper} lets it go on\n`;
    expect(await home.run('stop', 'a')).toMatchObject({ code: 1, stderr: text });
    expect(await home.run('delete', 'a')).toMatchObject({ code: 1, stderr: text });
    expect((await home.json('list')).map((/** @type {any} */ { name }) => name)).toEqual(['a']);
    // The next daemon does not wait for ever either.
    process.kill(home.daemonPid(), 'SIGKILL');
    expect((await home.run('stop', 'a')).stderr).toBe(text);
  } finally {
    process.kill(keeper, 'SIGCONT');
  }
}, 90_000);

test.each([['fork', []], ['cluster', ['-i', '1']]])('a program that is stopped ends all the same when it is asked to, and starts anew when it is killed: %s', async (_mode, words) => {
  const home = new Home();
  home.write('a.js', "require('http').createServer().listen(0, '127.0.0.1')");
  await home.run('start', 'a.js', '--kill-timeout', '200', '--min-uptime', '1', ...words);
  const [{ processes: [{ pid: first }] }] = await home.json('list');
  process.kill(first, 'SIGSTOP');
  process.kill(first, 'SIGKILL');
  const { pid, restarts } = await waitFor(async () => {
    const [{ processes: [one] }] = await home.json('list');
    return one.pid !== first && one.state === 'online' && one;
  }, { message: 'another one' });
  expect(restarts).toBe(1);
  process.kill(pid, 'SIGSTOP');
  expect(await home.run('stop', 'a')).toMatchObject({ code: 0 });
  expect(isAlive(pid)).toBe(false);
  expect((await home.json('list'))[0].processes[0]).toMatchObject({ state: 'stopped', pid: null });
}, 60_000);

test('a daemon that is stopped and then killed: the next one finds the same processes', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  const daemon = home.daemonPid();
  process.kill(daemon, 'SIGSTOP');
  process.kill(daemon, 'SIGKILL');
  await waitForDeath([daemon]);
  expect(await home.json('list')).toMatchObject([{ keeper, processes: [{ pid, state: 'online', restarts: 0 }] }]);
});

test('a keeper that is stopped and then killed: another one ends what it had, and starts it once', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js', '--min-uptime', '1');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  process.kill(keeper, 'SIGSTOP');
  process.kill(keeper, 'SIGKILL');
  await waitFor(async () => {
    const [one] = await home.json('list');
    return one.keeper !== keeper && one.processes[0].pid !== pid && one.processes[0].state === 'online';
  }, { message: 'another keeper' });
  expect(isAlive(pid)).toBe(false);
}, 60_000);
