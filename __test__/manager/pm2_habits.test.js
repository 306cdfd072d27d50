'use strict';

// What somebody who comes from PM2 has in the fingers, and in the configuration file.

const fs = require('node:fs');
const path = require('node:path');

const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';
const state = async (/** @type {Home} */ home) => (await home.json('list')).map((/** @type {any} */ { name, ids, processes }) => [name, ids, processes.map((/** @type {any} */ one) => one.state)]);

test('autostart: false lists an app, and nobody starts it but who names it', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('ecosystem.config.js', "module.exports = { apps: [{ name: 'on', script: 'a.js' }, { name: 'off', script: 'a.js', autostart: false }] }");
  expect((await home.run('apply', '--dry-run', 'ecosystem.config.js')).stdout).toBe('on would start\noff would be listed, and not started\n');
  expect((await home.run('start', 'ecosystem.config.js')).code).toBe(0);
  const listed = [['on', [0], ['online']], ['off', [1], ['stopped']]];
  expect(await state(home)).toEqual(listed);
  // Once more changes nothing, and neither does another daemon.
  expect((await home.run('start', 'ecosystem.config.js')).code).toBe(0);
  expect(await state(home)).toEqual(listed);
  await home.run('save');
  await home.run('kill');
  await home.run('resurrect');
  expect(await state(home)).toEqual(listed);
  expect((await home.run('start', 'off')).code).toBe(0);
  expect(await state(home)).toEqual([listed[0], ['off', [1], ['online']]]);
  expect((await home.run('start', 'a.js', '-n', 'third', '--no-autostart')).code).toBe(0);
  expect((await state(home))[2]).toEqual(['third', [2], ['stopped']]);
});

test('restart --name gives an app another name and leaves its number', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js', '-n', 'old', '--kill-timeout', '900');
  await home.run('start', 'a.js', '-n', 'other');
  expect(await home.run('restart', 'old', '--name', 'other')).toMatchObject({ code: 1, stderr: 'rcluster: there is an app "other" already\n' });
  expect((await home.run('restart', 'all', '--name', 'new')).code).toBe(2);
  expect((await home.run('restart', '0', '--name', 'new')).code).toBe(0);
  expect((await state(home)).sort()).toEqual([['new', [0], ['online']], ['other', [1], ['online']]]);
  expect((await home.json('describe', 'new'))[0]).toMatchObject({ killTimeout: 900, autostart: true });
});

test('of env_<name> none counts that is not asked for, and filter_env leaves out what begins so', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('a.config.json', JSON.stringify({ apps: [{ name: 'a', script: 'a.js', filter_env: ['MINE_'], env: { STAGE: 'dev' }, env_production: { STAGE: 'production' } }] }));
  const given = async (/** @type {string[]} */ ...words) => {
    await home.runWith({ env: { MINE_A: '1', NOT_MINE_B: '2' } }, ...words);
    const { MINE_A, NOT_MINE_B, STAGE } = await home.json('env', 'a');
    return { MINE_A, NOT_MINE_B, STAGE };
  };
  expect(await given('start', 'a.config.json')).toEqual({ NOT_MINE_B: '2', STAGE: 'dev' });
  expect(await given('start', 'a.config.json', '--env', 'production')).toEqual({ NOT_MINE_B: '2', STAGE: 'production' });
});

test('of an app at least one stays', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  for (const count of ['0', '-1']) {
    expect(await home.run('scale', 'a', count)).toEqual({ code: 1, stdout: '', stderr: `rcluster: scale: at least one stays, and "a" has 1: rcluster stop a ends all. Received ${count}\n` });
  }
});

test('increment_var, disable_logs, source_map_support and append_env_to_name', async () => {
  const home = new Home();
  home.write('a.js', "console.log('words'); setInterval(() => {}, 1e6)");
  home.write('ecosystem.config.js', `module.exports = { apps: [{
    name: 'a', script: 'a.js', exec_mode: 'fork', instances: 2, increment_var: 'PORT', env: { PORT: 4000 }, env_production: { STAGE: 'p' },
    disable_logs: true, source_map_support: true, append_env_to_name: true,
  }] }`);
  expect(await home.run('start', 'ecosystem.config.js', '--env', 'production', '--only', 'a')).toMatchObject({ code: 0, stderr: '' });
  const [{ name, processes }] = await home.json('list');
  expect(name).toBe('a-production');
  const environs = processes.map((/** @type {any} */ { pid }) => fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter((text) => /^(PORT|STAGE)=/.test(text)).sort());
  expect(environs).toEqual([['PORT=4000', 'STAGE=p'], ['PORT=4001', 'STAGE=p']]);
  expect(fs.readFileSync(`/proc/${processes[0].pid}/cmdline`, 'utf8')).toContain('\0--enable-source-maps\0');
  expect(fs.existsSync(path.join(home.path, 'logs')) ? fs.readdirSync(path.join(home.path, 'logs')).filter((file) => file.endsWith('.log')) : []).toEqual([]);
  home.write('cluster.config.js', "module.exports = { apps: [{ name: 'c', script: 'a.js', instances: 2, ready: 'online', increment_var: 'PORT' }] }");
  expect((await home.run('start', 'cluster.config.js')).stderr).toMatch(/"increment_var" does nothing for a cluster/);
});

test('what has no name is called as under PM2, and never takes the place of another script', async () => {
  const home = new Home();
  for (const folder of ['a', 'b']) {
    fs.mkdirSync(path.join(home.folder, folder));
    home.write(`${folder}/index.js`, SLEEP);
  }
  expect((await home.run('start', 'a/index.js', 'sh -c "sleep 1000" ./line.sh')).code).toBe(0);
  const before = await home.json('list');
  expect(before.map((/** @type {any} */ { name }) => name)).toEqual(['index', 'line']);
  const says = (/** @type {string} */ name, /** @type {string} */ what) => ({ code: 1, stderr: `rcluster: there is an app "${name}" already, which runs ${what}: --name gives this one a name of its own\n` });
  expect(await home.run('start', 'b/index.js')).toMatchObject(says('index', path.join(home.folder, 'a/index.js')));
  expect(await home.run('start', 'sleep 5 && ./line.sh')).toMatchObject(says('line', 'sh -c "sleep 1000" ./line.sh'));
  expect((await home.run('start', 'a/index.js')).code).toBe(0);
  expect((await home.json('list')).map((/** @type {any} */ { processes }) => processes[0].pid)).toEqual(before.map((/** @type {any} */ { processes }) => processes[0].pid));
  expect((await home.run('start', 'b/index.js', '--name', 'other')).code).toBe(0);
  // Whoever names it means it.
  expect((await home.run('start', 'b/index.js', '--name', 'index')).code).toBe(0);
  expect((await home.json('describe', 'index'))[0].script).toBe(path.join(home.folder, 'b/index.js'));
});

test('--only takes names that are parted by spaces, and list is sorted as it is told to', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('ecosystem.config.js', "module.exports = { apps: ['b', 'a', 'c', 'my d'].map((name) => ({ name, script: 'a.js' })) }");
  expect((await home.run('start', 'ecosystem.config.js', '--only', 'b a, my d')).code).toBe(0);
  const names = async (/** @type {string[]} */ ...words) => [...(await home.run('list', ...words)).stdout.matchAll(/^\d+ +(\S+)/gm)].map(([, name]) => name);
  expect(await names()).toEqual(['b', 'a', 'my']);
  expect(await names('--sort', 'name')).toEqual(['a', 'b', 'my']);
  expect(await names('--sort', 'name:desc')).toEqual(['my', 'b', 'a']);
  expect(await names('--sort', 'id:desc')).toEqual(['my', 'a', 'b']);
  expect(await home.run('ls', '--sort', 'nothing')).toMatchObject({ code: 2, stderr: expect.stringContaining('--sort must be one of id, name, ') });
});
