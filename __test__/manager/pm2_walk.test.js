'use strict';

// What somebody who comes from PM2 types in the first hour.

const fs = require('node:fs');
const path = require('node:path');

const { version } = require('../../package.json');
const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6);';

/** @param {Home} home */
const numbers = async (home) => (await home.json('list')).map((/** @type {any} */ { name, ids }) => [name, ...ids]);

test('TypeScript that Node does not run is refused, and whoever names an interpreter knows better', async () => {
  const home = new Home();
  home.write('a.ts', 'const a: number = 1; setInterval(() => {}, 1e6);');
  home.write('b.tsx', 'sleep 1000');
  const { code, stderr } = await home.run('start', 'a.ts');
  if (/** @type {any} */ (process.features).typescript) expect([code, stderr]).toEqual([0, '']);
  else expect([code, stderr]).toEqual([1, expect.stringMatching(/^rcluster: ".*\/a\.ts" is TypeScript, which .*node does not run by itself \(Node 22\.18 and newer do\): --interpreter tsx \(or bun\), or --node-args="--import tsx"\n$/)]);
  const config = home.write('e.config.js', `module.exports = { apps: [{ script: 'b.tsx' }] }`);
  expect(await home.run('start', config)).toMatchObject({ code: 1, stderr: expect.stringContaining('b.tsx" is TypeScript') });
  expect(await home.run('start', 'b.tsx', '--interpreter', 'bash')).toMatchObject({ code: 0, stderr: '' });
});

test('a folder is the file that Node would run, and a command line in a configuration file is a shell\'s', async () => {
  const home = new Home();
  home.write('index.js', SLEEP);
  const inside = (/** @type {string} */ name, /** @type {string} */ text) => {
    fs.mkdirSync(path.join(home.folder, path.dirname(name)), { recursive: true });
    home.write(name, text);
  };
  inside('served/index.js', SLEEP);
  inside('built/package.json', '{ "main": "dist/start" }');
  inside('built/dist/start.js', SLEEP);
  home.write('e.config.js', `module.exports = { apps: [{ name: 'line', script: 'sleep 999 | cat', args: ['two words'] }, { script: './built' }] }`);
  expect(await home.run('start', 'served')).toMatchObject({ code: 0, stderr: '' });
  expect(await home.run('start', '.', '--name', 'here')).toMatchObject({ code: 0, stderr: '' });
  expect(await home.run('start', 'e.config.js')).toMatchObject({ code: 0, stderr: '' });
  const scripts = Object.fromEntries((await home.json('describe', 'all')).map((/** @type {any} */ { name, script, args }) => [name, [path.relative(home.folder, script), ...args]]));
  expect(scripts).toMatchObject({ served: ['served/index.js'], here: ['index.js'], built: ['built/dist/start.js'], line: [expect.any(String), '-c', "sleep 999 | cat 'two words'"] });
});

test('numbers begin with 0 again when all is deleted; what is resurrected takes none that others have', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  expect((await home.run('start', 'a.js')).code).toBe(0);
  await home.run('start', 'a.js', '--name', 'b');
  await home.run('save');
  await home.run('delete', 'all');
  await home.run('start', 'a.js', '--name', 'c');
  expect(await numbers(home)).toEqual([['c', 0]]);
  await home.run('resurrect');
  expect(await numbers(home)).toEqual(expect.arrayContaining([['c', 0], ['a', 2], ['b', 1]]));
  // One that is there already is what it was.
  expect(await home.run('resurrect')).toMatchObject({ code: 0, stderr: 'rcluster: there is nothing that save has kept and that is not there already\n' });
});

test('a configuration file means those of its apps that are there', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('e.config.js', `module.exports = { apps: ['one', 'two', 'three'].map((name) => ({ name, script: 'a.js' })) }`);
  await home.run('start', 'e.config.js', '--only', 'two,three');
  expect(await home.run('stop', 'e.config.js')).toMatchObject({ code: 0, stderr: 'rcluster: there is no app, number or namespace "default:one"\n' });
  expect((await home.json('list')).map((/** @type {any} */ { processes }) => processes[0].state)).toEqual(['stopped', 'stopped']);
  expect((await home.run('delete', 'e.config.js')).code).toBe(0);
  expect(await home.run('delete', 'e.config.js')).toMatchObject({ code: 1, stderr: 'rcluster: there is no app, number or namespace "default:one"\n' });
});

test('jlist has what was said of an app, and what runs it', async () => {
  const home = new Home();
  home.write('a.sh', 'sleep 1000');
  await home.run('start', 'a.sh', '--max-memory-restart', '200M', '--cron-restart', '0 3 * * *', '--restart-delay', '500', '--max-restarts', '7', '--no-autostart', '--stop-exit-codes', '3');
  const [{ pm2_env: env }] = JSON.parse((await home.run('jlist')).stdout);
  expect(env).toMatchObject({ exec_interpreter: 'bash', max_memory_restart: 200 * 1024 * 1024, cron_restart: '0 3 * * *', restart_delay: 500, max_restarts: 7, autostart: false, autorestart: true, stop_exit_codes: [3] });
  expect(Object.keys(env)).not.toContain('min_uptime');
});

test('describe says how it is and where its lines are', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js', '--error', '/dev/null');
  const { stdout } = await home.run('describe', 'a');
  const of = (/** @type {string} */ key) => new RegExp(`^${key} {2,}(.*)$`, 'm').exec(stdout)?.[1];
  expect(of('status')).toBe('online');
  expect(of('process 0')).toMatch(/^online, id 0, pid \d+, up \d+s, \d+%, [\d.]+mb, restarts 0$/);
  expect([of('out log'), of('error log')]).toEqual([path.join(home.path, 'logs', 'a-out.log'), '/dev/null']);
  expect(fs.existsSync(String(of('out log')))).toBe(true);
  expect(stdout).not.toMatch(/ null$| \[\]$|\{/m);
});

test('what did not run is started, and not counted as started anew', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  await home.run('stop', 'a');
  await home.run('restart', 'a');
  expect((await home.json('list'))[0].processes[0]).toMatchObject({ state: 'online', restarts: 0 });
  await home.run('restart', 'a');
  expect((await home.json('list'))[0].processes[0].restarts).toBe(1);
});

test('-v says the version, and a verb that is none the nearest one', async () => {
  const home = new Home();
  expect(await home.run('-v')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await home.run('strat', 'a.js')).toEqual({ code: 2, stdout: '', stderr: 'rcluster: there is no script "strat": did you mean rcluster start?\n' });
});
