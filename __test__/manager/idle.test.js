'use strict';

// An idle daemon and idle keepers do nothing: no system call, however many apps there are.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { testUnless } = require('../helpers/needs');
const { tracing } = require('../helpers/rights');
const { endWithTest, waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** How long (ms) they are watched. */
const TIME = 4000;

const testWithStrace = testUnless(tracing(), 'strace');

/**
 * The system calls of processes within that time.
 *
 * @param {string} file Where strace writes.
 * @param {number[]} pids
 */
async function calls(file, pids) {
  const strace = endWithTest(spawn('strace', ['-f', '-qq', '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])], { stdio: 'ignore' }));
  const ended = once(strace, 'exit');
  try {
    const isTraced = (/** @type {number} */ pid) => fs.readdirSync(`/proc/${pid}/task`).every((task) => !/^TracerPid:\t0$/m.test(fs.readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')));
    await waitFor('strace', () => pids.every(isTraced));
    await sleep(TIME);
  } finally {
    strace.kill('SIGINT');
    await ended;
  }
  // What they wait in begins before and does not end.
  return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== '' && !/<(?:unfinished|detached) \.\.\.>$/.test(line));
}

testWithStrace.each([[1], [20]])('%i apps that do nothing, their keepers and the daemon: no system call', async (count) => {
  const home = new Home();
  home.write('sleep.js', 'setInterval(() => {}, 1e6)');
  home.write('server.js', "require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1')");
  const apps = Array.from({ length: count }, (_, index) => ({ name: `app-${index}`, script: 'sleep', interpreter: 'none', args: ['1000'] }));
  home.write('apps.config.js', `module.exports = { apps: ${JSON.stringify([...apps, { name: 'node', script: 'sleep.js' }, { name: 'cluster', script: 'server.js', instances: 2 }])} }`);
  expect((await home.run('start', 'apps.config.js')).code).toBe(0);
  const keepers = fs.readdirSync(path.join(home.path, 'run')).map((key) => JSON.parse(fs.readFileSync(path.join(home.path, 'run', key, 'keeper.json'), 'utf8')).pid);
  expect(keepers.length).toBe(count + 2);
  const all = [home.daemonPid(), ...keepers];
  // What the start has left to do, such as a connection that is closed, comes once.
  const first = await calls(path.join(home.folder, 'calls'), all);
  expect(first.length === 0 ? first : await calls(path.join(home.folder, 'calls'), all)).toEqual([]);
  // Not because nothing would be seen.
  let looks = true;
  const seen = calls(path.join(home.folder, 'calls'), all).finally(() => (looks = false));
  while (looks) await home.manager.list();
  expect((await seen).length).toBeGreaterThan(0);
});
