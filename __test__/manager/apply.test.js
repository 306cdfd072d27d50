'use strict';

// The world becomes what a configuration says, by as little as possible.

const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';

/** @param {Home} home @returns {Promise<Record<string, number[]>>} */
async function pids(home) {
  const apps = await home.json('list');
  return Object.fromEntries(apps.map((/** @type {any} */ { name, processes }) => [name, processes.map((/** @type {any} */ { pid }) => pid)]));
}

/** @param {Home} home @param {string} apps */
const config = (home, apps) => home.write('ecosystem.config.js', `module.exports = { apps: [${apps}] }`);

test('a dry run tells what would change, and changes nothing; apply does it, and nothing else', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  config(home, `{ name: 'same', script: 'a.js' }, { name: 'args', script: 'a.js' }, { name: 'more', script: 'a.js', exec_mode: 'fork', instances: 1 }, { name: 'rules', script: 'a.js' }, { name: 'gone', script: 'a.js' }`);
  await home.run('apply');
  const before = await pids(home);
  config(home, `{ name: 'same', script: 'a.js' }, { name: 'args', script: 'a.js', args: 'x', env: { SECRET: 'hunter2' } }, { name: 'more', script: 'a.js', exec_mode: 'fork', instances: 2 }, { name: 'rules', script: 'a.js', kill_timeout: '3s' }, { name: 'new', script: 'a.js' }`);
  const { stdout } = await home.run('apply', '--dry-run');
  expect(stdout).toBe(`same stays as it is
args would start anew
  args: [] → ["x"]
  env.SECRET
more would get another size
  instances: 1 → 2
rules would be kept by other rules
  killTimeout: 1600 → 3000
new would start
`);
  const plans = await home.json('apply', '--dry-run', '--prune');
  expect(plans.map((/** @type {any} */ { name, action }) => [name, action])).toEqual([['same', 'none'], ['args', 'restart'], ['more', 'scale'], ['rules', 'configure'], ['new', 'start'], ['gone', 'delete']]);
  expect(await pids(home)).toEqual(before);

  await home.run('apply');
  const after = await pids(home);
  expect([after.same, after.rules, after.gone]).toEqual([before.same, before.rules, before.gone]);
  expect([after.more[0], after.more.length]).toEqual([before.more[0], 2]);
  expect(after.args).not.toEqual(before.args);
  expect((await home.json('describe', 'rules'))[0].killTimeout).toBe(3000);
  expect((await home.run('apply', '--dry-run')).stdout.match(/stays as it is/g)?.length).toBe(5);

  await home.run('apply', '--prune');
  expect(Object.keys(await pids(home))).toEqual(['same', 'args', 'more', 'rules', 'new']);
});

test('the environment of another terminal is no change, what the configuration says is one', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('.env', 'FROM_FILE=1');
  config(home, `{ name: 'a', script: 'a.js', env_file: '.env', env: { A: 1 }, env_production: { A: 2 } }`);
  await home.runWith({ env: { TERM_SESSION: 'one' } }, 'start', 'ecosystem.config.js');
  const before = await pids(home);
  await home.runWith({ env: { TERM_SESSION: 'two' } }, 'start', 'ecosystem.config.js');
  expect(await pids(home)).toEqual(before);
  expect(await home.json('env', 'a')).toMatchObject({ TERM_SESSION: 'one', FROM_FILE: '1', A: '1' });
  await home.runWith({ env: { TERM_SESSION: 'two' } }, 'start', 'ecosystem.config.js', '--env', 'production');
  expect(await pids(home)).not.toEqual(before);
  expect(await home.json('env', 'a')).toMatchObject({ TERM_SESSION: 'one', FROM_FILE: '1', A: '2' });
});

test('startOrRestart and restart of a file start anew what runs, startOrReload reloads it', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('server.js', 'require("http").createServer((_, answer) => answer.end()).listen(0, "127.0.0.1")');
  config(home, `{ name: 'a', script: 'a.js' }, { name: 'server', script: 'server.js', instances: 1 }`);
  const started = await home.json('startOrReload', 'ecosystem.config.js');
  expect(started.map((/** @type {any} */ { action }) => action)).toEqual(['start', 'start']);
  let before = await pids(home);
  const reloaded = await home.json('startOrReload', 'ecosystem.config.js');
  expect(reloaded.map((/** @type {any} */ { action }) => action)).toEqual(['reload', 'reload']);
  // A cluster's primary stays.
  const after = await pids(home);
  expect([after.server, after.a[0] === before.a[0]]).toEqual([before.server, false]);
  for (const verb of ['startOrRestart', 'restart']) {
    before = await pids(home);
    const restarted = await home.json(verb, 'ecosystem.config.js', '--only', 'server');
    expect(restarted.map((/** @type {any} */ { name, action }) => [name, action])).toEqual([['server', 'restart']]);
    const next = await pids(home);
    expect([next.a, next.server[0] === before.server[0]]).toEqual([before.a, false]);
  }
});

test('a new environment of a cluster comes by a reload', async () => {
  const home = new Home();
  home.write('server.js', 'require("http").createServer((_, answer) => answer.end()).listen(0, "127.0.0.1")');
  config(home, `{ name: 'server', script: 'server.js', instances: 1, env: { A: 1 } }`);
  await home.run('start', 'ecosystem.config.js');
  const before = await pids(home);
  config(home, `{ name: 'server', script: 'server.js', instances: 2, env: { A: 2 } }`);
  expect((await home.json('start', 'ecosystem.config.js'))[0].action).toBe('reload');
  expect(await pids(home)).toEqual(before);
  expect((await home.json('list'))[0].workers.length).toBe(2);
});
