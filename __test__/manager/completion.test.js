'use strict';

// What a shell completes.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { Home } = require('./home');

test('verbs, options and names', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  const next = async (/** @type {string[]} */ ...before) => (await home.run('completion', '--words', '--', ...before)).stdout.split('\n');
  expect(await next()).toEqual(expect.arrayContaining(['start', 'startOrReload', 'ls', 'sendSignal']));
  expect(await next('list')).toEqual(expect.arrayContaining(['--json', '--silent']));
  // No daemon is started for that.
  expect(await next('stop')).not.toContain('web');
  expect(fs.existsSync(home.path)).toBe(false);
  await home.run('start', 'a.js', '-n', 'web', '--namespace', 'shop');
  expect(await next('stop')).toEqual(expect.arrayContaining(['all', 'web', 'shop', '--only']));
});

test('bash takes it', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  await home.run('start', 'a.js', '-n', 'website');
  const script = (await home.run('completion', 'bash')).stdout;
  const command = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
  const program = `rcluster() { ${process.execPath} ${command} "$@"; }\n${script}\nCOMP_WORDS=(rcluster stop web); COMP_CWORD=2; _rcluster; echo "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync('bash', ['-c', program], { encoding: 'utf8', env: { ...process.env, RCLUSTER_HOME: home.path } });
  expect(stdout).toBe('website\n');
  expect(await home.run('completion', 'fish')).toMatchObject({ code: 2, stderr: 'rcluster: completion: for which shell? Give bash or zsh\n' });
  expect((await home.run('completion', 'zsh')).stdout).toMatch(/^#compdef rcluster/);
});

test('every verb has a help that names its options', async () => {
  const home = new Home();
  const { stdout } = await home.run('help');
  expect(stdout).toMatch(/startOrReload, startOrGracefulReload {2,}Starts the apps/);
  const help = await home.run('start', '--help');
  expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('--max-memory-restart <bytes>')]);
});
