'use strict';

// An app is deleted in the middle of the start of its keeper: nothing of it is left.

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { ofFolder } = require('../helpers/leftovers');
const { waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** The keepers of a home. @param {Home} home */
const keepersOf = (home) => ofFolder(home.folder).filter((pid) => {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[1] === 'keeper';
  } catch {
    return false; // gone since
  }
});

test.each([[['delete', 'a']], [['kill']]])('%s while the daemon is just starting another keeper', async (words) => {
  const home = new Home();
  // The next keeper says nothing until this one has ended, which takes its time.
  home.write('a.js', `process.on('SIGINT', () => {}); process.stdout.on('error', () => {}); setInterval(() => {}, 1e6);`);
  expect((await home.run('start', 'a.js', '--min-uptime', '1', '--kill-timeout', '3s')).code).toBe(0);
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  process.kill(keeper, 'SIGKILL');
  await waitFor('another keeper', () => keepersOf(home).some((one) => one !== keeper));
  expect(await home.run(...words)).toMatchObject({ code: 0 });
  expect(keepersOf(home)).toEqual([]);
  await waitForDeath([pid]);

}, 60_000);

test('what is asked of a keeper that has been told to quit does not start its app again', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  await home.run('start', 'a.js', '--min-uptime', '1');
  await home.run('stop', 'a');
  const [{ keeper }] = await home.json('list');
  process.kill(home.daemonPid(), 'SIGKILL');
  const [folder] = fs.readdirSync(path.join(home.path, 'run'));
  const socket = net.connect(path.join(home.path, 'run', folder, 'keeper.sock'));
  await once(socket, 'connect');
  const closed = once(socket, 'close');
  let said = '';
  socket.on('data', (data) => (said += data));
  socket.write('{"id":1,"op":"quit"}\n{"id":2,"op":"resume"}\n{"id":3,"op":"start"}\n');
  await waitForDeath([keeper]);
  await closed;
  const answers = said.trim().split('\n').map((line) => JSON.parse(line)).filter(({ id }) => id > 1);
  expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([[2, 'ERR_RCLUSTER_NOT_RUNNING'], [3, 'ERR_RCLUSTER_NOT_RUNNING']]);
}, 60_000);
