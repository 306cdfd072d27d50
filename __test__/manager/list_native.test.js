'use strict';

// `rcluster list` as it is typed: where nothing is unusual Node is not started for it, and nobody sees a difference.

const { execFile, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const { testWith } = require('../helpers/needs');
const { waitFor: waitForCondition } = require('../helpers/run');
// Terminals end before the home that they are in.
const tmux = require('./tmux');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
const run = promisify(execFile);

/** What its first lines need, and no Node. @param {Home} home */
function withoutNode(home) {
  const folder = path.join(home.folder, 'programs');
  fs.mkdirSync(folder, { recursive: true });
  for (const name of ['readlink', 'uname']) {
    const file = path.join(folder, name);
    if (!fs.existsSync(file)) fs.symlinkSync(spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim(), file);
  }
  return folder;
}

/**
 * As somebody types it.
 *
 * @param {Home} home
 * @param {string[]} words
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string} [command]
 */
const typed = (home, words, env = {}, command = COMMAND) => run(command, words, { cwd: home.folder, env: { ...process.env, RCLUSTER_HOME: home.path, ...env } });

/** A home with something of everything. */
async function filled() {
  const home = new Home();
  home.write('sleep.js', 'setInterval(() => {}, 1e6)');
  home.write('server.js', "require('node:http').createServer((request, response) => response.end()).listen(0);");
  await home.run('start', 'sleep.js', '--name', 'a-name-that-takes-its-place');
  await home.run('start', 'sleep.js', '--name', 'stopped', '--namespace', 'other');
  await home.run('stop', 'stopped');
  await home.run('start', 'server.js', '-i', '2');
  return home;
}

test('the list is printed without Node, by every name and through a link, and is the one that Node prints', async () => {
  const home = await filled();
  const PATH = withoutNode(home);
  const link = path.join(home.folder, 'rcluster');
  fs.symlinkSync(COMMAND, link);
  // Seconds go on, and so does what is used: of many lists one is the same.
  /** @type {Set<string>[]} */
  const printed = [new Set(), new Set(), new Set()];
  await waitForCondition(async () => {
    const lists = await Promise.all([typed(home, ['list'], { PATH }), typed(home, ['ls'], { PATH }, link), home.run('list')]);
    for (const [index, { stdout }] of lists.entries()) printed[index].add(stdout);
    expect(lists[0].stdout.split('\n').map((line) => line.split(/ +/)[1])).toEqual(['name', 'a-name-that-takes-its-place', 'stopped', 'server', '0', '1', undefined]);
    const [one, ...others] = printed;
    return [...one].some((list) => others.every((other) => other.has(list)));
  }, { timeout: 45_000, message: 'a list that all three have printed' });
  for (const word of ['l', 'ps', 'status']) expect((await typed(home, [word], { PATH })).stdout).toContain('stopped');
});

test.each([
  ['a name that takes two columns', '日本語', []],
  ['an option', 'plain', ['--mini-list']],
])('%s is for Node', async (what, name, words) => {
  const home = new Home();
  home.write('sleep.js', 'setInterval(() => {}, 1e6)');
  await home.run('start', 'sleep.js', '--name', name);
  // What one uses changes.
  await home.run('stop', name);
  expect((await typed(home, ['list', ...words])).stdout).toBe((await home.run('list', ...words)).stdout);
  await expect(typed(home, ['list', ...words], { PATH: withoutNode(home) })).rejects.toMatchObject({ code: 127, stdout: '' });
});

test('where no daemon runs the list starts one, as before', async () => {
  const home = new Home();
  expect((await typed(home, ['list'])).stdout).toBe('id  name  namespace  mode  pid  uptime  ↺  status  cpu  memory\n');
  expect(home.daemonPid()).toBeGreaterThan(1);
});

testWith('tmux')('on a narrow terminal it has the same columns and colours', async () => {
  const home = await filled();
  await home.run('stop', 'all');
  const screens = [];
  for (const command of [COMMAND, `${process.execPath} ${COMMAND}`]) {
    const terminal = new tmux.Terminal(home, `${command} list; exec sleep 1000`, { width: 42, height: 12 });
    await waitFor('the list', async () => (await terminal.screen()).includes('server'));
    screens.push(await terminal.screen('-e'));
  }
  expect(screens[0]).toContain('\u001b[90mstopped');
  expect(screens[0]).toBe(screens[1]);
});
