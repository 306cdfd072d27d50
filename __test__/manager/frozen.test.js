'use strict';

// A daemon or a keeper that is there and does nothing (SIGSTOP, or it hangs): whoever asks is told, and does not wait for ever.

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
