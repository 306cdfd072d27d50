'use strict';

// Keepers begin: where they come from, and what is left when somebody dies or is told otherwise meanwhile.

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { ofFolder } = require('../helpers/leftovers');
const { waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** A program that does not end when it is asked to. */
const STUBBORN = `{ process.on('SIGINT', () => {}); process.stdout.on('error', () => {}); setInterval(() => {}, 1e6); }`;

/** The words of a process's call. @param {number} pid @returns {string[]} */
function wordsOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    return []; // gone since
  }
}

/** The keepers of a home. @param {Home} home */
const keepersOf = (home) => ofFolder(home.folder).filter((pid) => wordsOf(pid)[1] === 'keeper');

/** What keepers are made of. @param {Home} home */
const nurseriesOf = (home) => ofFolder(home.folder).filter((pid) => wordsOf(pid)[1] === 'keepers');

/** @param {Home} home */
const programsOf = (home) => ofFolder(home.folder).filter((pid) => wordsOf(pid)[0] === '/bin/sleep');

/** So many idle programs. @param {Home} home @param {number} count */
const many = (home, count) => home.write('many.json', JSON.stringify({
  apps: Array.from({ length: count }, (_, index) => ({ name: `s${index}`, script: '/bin/sleep', args: '1000000', interpreter: 'none' })),
}));

test('keepers come from one process, which goes when they are there; each says whose it is', async () => {
  const home = new Home();
  expect((await home.run('start', many(home, 3))).code).toBe(0);
  const run = path.join(home.path, 'run');
  const words = keepersOf(home).map((pid) => wordsOf(pid).slice(1).filter(Boolean));
  expect(words.sort()).toEqual(['s0', 's1', 's2'].map((name) => ['keeper', '--dir', path.join(run, `default.${name}`)]));
  await waitFor('nothing but keepers', () => nurseriesOf(home).length === 0);
}, 60_000);

test('a daemon that is killed while it starts apps leaves no keeper without its program, and the next one starts none twice', async () => {
  const home = new Home();
  await home.run('ping');
  const starting = home.spawn(['start', many(home, 40)]);
  const run = path.join(home.path, 'run');
  await waitFor('the first keepers', () => fs.readdirSync(run).length > 5);
  process.kill(home.daemonPid(), 'SIGKILL');
  await once(starting, 'close');
  const pidOf = (/** @type {string} */ folder) => JSON.parse(fs.readFileSync(path.join(run, folder, 'state.json'), 'utf8')).instances[0].pid;
  const hasProgram = (/** @type {number} */ keeper) => {
    try {
      return fs.existsSync(`/proc/${pidOf(path.basename(wordsOf(keeper)[3]))}`);
    } catch {
      return false; // not written yet
    }
  };
  await waitFor('a program of each keeper', () => nurseriesOf(home).length === 0 && keepersOf(home).every(hasProgram));
  /** @type {any[]} */
  let processes = [];
  await waitFor('all of them', async () => {
    processes = (await home.json('list')).flatMap((/** @type {any} */ app) => app.processes);
    return processes.length === 40 && processes.every(({ state }) => state === 'online');
  });
  expect(programsOf(home).sort()).toEqual(processes.map(({ pid }) => pid).sort());
}, 60_000);

test('what keepers are made of may be killed: who starts an app next has another one', async () => {
  const home = new Home();
  // The first one alone is stubborn.
  home.write('a.js', `if (require('node:fs').mkdirSync('begun', { recursive: true })) ${STUBBORN} else setInterval(() => {}, 1e6);`);
  await home.run('start', 'a.js', '--min-uptime', '1', '--kill-timeout', '30s');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  process.kill(keeper, 'SIGKILL');
  // It is there until the next keeper has answered, which waits for the end of this process.
  await waitFor('another keeper', () => keepersOf(home).some((one) => one !== keeper));
  const nursery = await waitFor('the process that becomes keepers', () => nurseriesOf(home)[0]);
  process.kill(nursery, 'SIGKILL');
  await waitForDeath([nursery]);
  expect(await home.run('start', many(home, 2))).toMatchObject({ code: 0 });
  expect(programsOf(home)).toHaveLength(2);
  process.kill(pid, 'SIGKILL');
  await waitFor('the other program', async () => (await home.json('list'))[0].processes[0].state === 'online');
}, 60_000);

test.each([[['delete', 'a']], [['kill']]])('%s while the daemon is just starting another keeper', async (words) => {
  const home = new Home();
  // The next keeper says nothing until this one has ended, which takes its time.
  home.write('a.js', STUBBORN);
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
  socket.write('{"id":1,"op":"quit"}\n{"id":2,"op":"restart"}\n{"id":3,"op":"start"}\n');
  await waitForDeath([keeper]);
  await closed;
  const answers = said.trim().split('\n').map((line) => JSON.parse(line)).filter(({ id }) => id > 1);
  expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([[2, 'ERR_RCLUSTER_NOT_RUNNING'], [3, 'ERR_RCLUSTER_NOT_RUNNING']]);
}, 60_000);
