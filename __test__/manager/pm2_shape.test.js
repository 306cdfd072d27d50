'use strict';

// `jlist` and `prettylist`: what exporters and scripts read of PM2's.

const { spawnSync } = require('node:child_process');

const { Home } = require('./home');

test('a process each, a worker each, with the members that are read', async () => {
  const home = new Home();
  home.write('package.json', '{ "version": "1.2.3" }');
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  home.write('server.js', 'require("http").createServer(() => {}).listen(0, "127.0.0.1")');
  await home.run('start', 'a.js');
  await home.run('start', 'server.js', '-i', '2', '--namespace', 'shop');
  const all = JSON.parse((await home.run('jlist')).stdout);
  const own = await home.json('list');
  expect(all.map((/** @type {any} */ one) => [one.name, one.pm_id, one.pid, one.pm2_env.exec_mode, one.pm2_env.NODE_APP_INSTANCE])).toEqual([
    ['a', 0, own[0].processes[0].pid, 'fork_mode', 0], ['server', 1, own[1].workers[0].pid, 'cluster_mode', 0], ['server', 2, own[1].workers[1].pid, 'cluster_mode', 1],
  ]);
  expect(all[1]).toMatchObject({
    name: 'server', monit: { memory: expect.any(Number), cpu: expect.any(Number) },
    pm2_env: {
      name: 'server', namespace: 'shop', pm_id: 1, status: 'online', restart_time: 0, unstable_restarts: 0, pm_uptime: expect.any(Number), created_at: expect.any(Number), instances: 2, version: '1.2.3',
      node_version: process.versions.node, exec_interpreter: 'node', pm_cwd: home.folder, pm_exec_path: `${home.folder}/server.js`, pm_out_log_path: `${home.path}/logs/server-out-0.log`,
      pm_err_log_path: `${home.path}/logs/server-error-0.log`, autorestart: true, watch: false, username: expect.any(String),
    },
  });
  expect(all[0].monit.memory).toBeGreaterThan(1e6);
  await home.run('stop', 'all');
  const stopped = JSON.parse((await home.run('jlist')).stdout);
  expect(stopped.map((/** @type {any} */ one) => [one.pid, one.pm2_env.status])).toEqual([[0, 'stopped'], [0, 'stopped'], [0, 'stopped']]);
  // As literals of JavaScript.
  const { stdout } = await home.run('prettylist');
  expect(JSON.parse(spawnSync(process.execPath, ['-p', `JSON.stringify(${stdout})`], { encoding: 'utf8' }).stdout).length).toBe(3);
});
