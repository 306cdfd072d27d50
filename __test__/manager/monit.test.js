'use strict';

// `rcluster monit` in a real terminal: what is to be seen, what keys do, and that the terminal is left as it was.

const fs = require('node:fs');
const { constants } = require('node:os');
const path = require('node:path');

const { executable } = require('../../manager/home.js');
const { testWith } = require('../helpers/needs');
const { waitFor: waitForCondition } = require('../helpers/run');
// Its terminals are closed before homes are.
const { Terminal } = require('./tmux');
const { Home } = require('./home');
const { keepAsking, startCluster } = require('./traffic');

const testInTerminal = testWith('tmux');
const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
const MONIT = `${process.execPath} ${COMMAND} monit`;

/**
 * Waits for a text on the screen.
 *
 * @param {Terminal} terminal
 * @param {RegExp} pattern
 */
async function see(terminal, pattern) {
  let screen = '';
  const condition = async () => pattern.test((screen = await terminal.screen()));
  await waitForCondition(condition, { message: () => `${pattern} on\n${screen}` });
  return screen;
}

/** @param {string} message @param {() => any} condition */
const waitFor = (message, condition) => waitForCondition(condition, { message });

/** Two programs, one of which writes. @param {Home} home */
async function startTwo(home) {
  home.write('chat.js', "let n = 0; setInterval(() => console.log('line', ++n), 50); console.error('\\u001b[31mtrouble\\u001b[0m')");
  home.write('quiet.js', 'setInterval(() => {}, 1e6)');
  home.write('two.config.js', "module.exports = { apps: [{ name: 'quiet', script: 'quiet.js', exec_mode: 'fork', instances: 2 }, { name: 'chat', script: 'chat.js' }] }");
  expect((await home.run('start', 'two.config.js')).code).toBe(0);
}

/** @param {Home} home @param {string} name */
async function processesOf(home, name) {
  const app = (await home.manager.list()).find((one) => one.name === name);
  return app?.processes ?? [];
}

testInTerminal('apps, their figures and the logs of the selected one, live', async () => {
  const home = new Home();
  await startTwo(home);
  const terminal = new Terminal(home, MONIT);
  const first = await see(terminal, /quiet +2\/2 +online/);
  for (const pattern of [/^ rcluster +2 apps/m, /^ +0 +online/m, /^ +1 +online/m, /chat +1\/1 +online/, /logs of quiet/, /q quit/]) expect(first).toMatch(pattern);
  // Memory is looked at.
  await see(terminal, /chat +1\/1 +online +(?:\d+ +)?[\d.]+ +[\d.]+M/);
  await terminal.press('G');
  const at = Number(/line (\d+)/.exec(await see(terminal, /logs of chat[^]*line \d+/))?.[1]);
  await waitFor('more lines', async () => Number(/.*line (\d+)/s.exec(await terminal.screen())?.[1]) > at + 5);
  // What a program writes is shown, and nothing of it is done.
  await terminal.press('Tab', 'g');
  await see(terminal, /\d\d:\d\d:\d\d trouble$/m);
  await terminal.press('Tab');
  // Somebody else starts and stops something.
  expect((await home.run('start', 'quiet.js', '--name', 'new')).code).toBe(0);
  await see(terminal, /^ rcluster +3 apps[^]*new +1\/1 +online/);
  expect((await home.run('stop', 'new')).code).toBe(0);
  await see(terminal, /1 stopped[^]*new +0\/1 +stopped/);
});

testInTerminal('what boards of workers say is in the eighty columns, and sorted by', async () => {
  const home = new Home();
  await startTwo(home);
  expect((await home.run('scale', 'quiet', '1')).code).toBe(0);
  const port = await startCluster(home);
  const terminal = new Terminal(home, MONIT);
  let isOver = false;
  const asking = keepAsking(port, () => isOver);
  try {
    // Of all and of each worker: requests, errors, how long connections waited, how busy the loop was.
    const figures = String.raw`[1-9][\d.]*k? +\d[\d.]*k? +[\d.]+m?s +[1-9]\d* +`;
    const screen = await see(terminal, new RegExp(`^. web +2/2 +online +[\\d.]+ +[\\d.]+M +${figures}\\d+$[^]*^ +0 +ready +[\\d.]+ +[\\d.]+M +${figures}\\d+$`, 'm'));
    expect(screen).toMatch(/NAME +UP +STATE +CPU % +MEMORY +REQ\/S +ERR\/S +WAIT +LOOP % +RESTARTS$/m);
    // Programs that are no clusters have none.
    expect(screen).toMatch(/chat +1\/1 +online +[\d.]+ +[\d.]+M +0$/m);
    for (const order of ['name', 'cpu', 'memory', 'requests']) {
      await terminal.press('o');
      await see(terminal, new RegExp(`sorted by ${order}`));
    }
    await see(terminal, /web +2\/2[^]*quiet +1/);
  } finally {
    isOver = true;
    await asking;
  }
});

testInTerminal('keys restart, scale, stop and start, each after a question', async () => {
  const home = new Home();
  await startTwo(home);
  const terminal = new Terminal(home, MONIT);
  await see(terminal, /quiet +2\/2/);
  const [zero, one] = await processesOf(home, 'quiet');
  await terminal.press('j', 'j', 'r');
  await see(terminal, /Restart quiet instance 1\? +y yes +n no/);
  await terminal.press('n', 'r', 'y');
  await see(terminal, /quiet instance 1: restarted/);
  const [zeroAfter, oneAfter] = await processesOf(home, 'quiet');
  expect([zeroAfter.pid, oneAfter.pid === one.pid]).toEqual([zero.pid, false]);
  await terminal.press('+');
  await see(terminal, /Scale quiet from 2 to 3\?/);
  await terminal.press('y');
  await see(terminal, /quiet +3\/3/);
  await terminal.press('=', '1', 'Enter');
  await see(terminal, /quiet +1\/1/);
  await terminal.press('g', 's', 'y');
  await see(terminal, /quiet +0\/1 +stopped/);
  expect((await processesOf(home, 'quiet')).map(({ state }) => state)).toEqual(['stopped']);
  await terminal.press('S', 'y');
  await see(terminal, /quiet +1\/1 +online/);
  // What cannot be started any more is to be seen.
  const file = path.join(home.folder, 'quiet.js');
  fs.renameSync(file, `${file}.gone`);
  await terminal.press('r', 'y');
  await see(terminal, /1 in trouble[^]*quiet +0\/1 +errored/);
});

testInTerminal('it filters, sorts, folds, helps, and fits every size', async () => {
  const home = new Home();
  await startTwo(home);
  const terminal = new Terminal(home, MONIT);
  await see(terminal, /quiet +2\/2/);
  await terminal.press('Enter');
  await see(terminal, /▸ quiet/);
  await terminal.press('/', 'c', 'h', 'a');
  expect(await see(terminal, /Show what has: cha/)).not.toMatch(/quiet/);
  await terminal.press('Escape');
  await see(terminal, /quiet/);
  await terminal.press('o');
  await see(terminal, /chat +1[^]*quiet +2[^]*sorted by name/);
  await terminal.press('?');
  await see(terminal, /reload without losing anything/);
  await terminal.press('x');
  await terminal.resize(20, 5);
  await see(terminal, /^20 × 5 is too small/);
  await terminal.resize(120, 40);
  await see(terminal, /PID[^]*chat +1\/1 +online +\d+/);
  await terminal.resize(80, 24);
  await see(terminal, /chat +1\/1 +online[^]*\? keys/);
});

testInTerminal(`the colours are the terminal's own, and none with NO_COLOR`, async () => {
  const home = new Home();
  await startTwo(home);
  const coloured = new Terminal(home, MONIT);
  await see(coloured, /quiet +2\/2/);
  // 32 is the terminal's green; 38;2 would be a colour of our own.
  const codes = async (/** @type {Terminal} */ terminal) => [...(await terminal.screen('-e')).matchAll(/\[([\d;]+)m/g)].map(([, code]) => code);
  const seen = await codes(coloured);
  expect(seen.some((code) => /(?:^|;)(?:32|38;5;2)$/.test(code))).toBe(true);
  expect(seen.filter((code) => /38;2;|48;2;/.test(code))).toEqual([]);
  await coloured.close();
  const plain = new Terminal(home, MONIT, { env: { NO_COLOR: '1' } });
  await see(plain, /quiet +2\/2/);
  expect((await codes(plain)).filter((code) => code.split(';').some((one) => /^(?:3[0-8]|4[0-8]|9\d|10\d)$/.test(one)))).toEqual([]);
});

/** The processes with exactly these words. @param {string} words */
function find(words) {
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() === words;
    } catch {
      return false;
    }
  });
}

testInTerminal('the terminal is as it was, whatever ends it', async () => {
  const home = new Home();
  await startTwo(home);
  const shown = `${executable()} monit --home ${home.path} --child`;
  const terminal = new Terminal(home, 'sh');
  const file = (/** @type {string} */ name) => path.join(home.folder, name);
  await terminal.press('stty -a > before', 'Enter');
  await waitFor('the shell', () => fs.existsSync(file('before')));
  const parentOf = (/** @type {number} */ pid) => Number(/^PPid:\t(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const command = () => parentOf(find(shown)[0]);
  /** @type {[string, number, () => any][]} */
  const ends = [
    ['q', 0, () => terminal.press('q')],
    ['C-c', 0, () => terminal.press('C-c')],
    ...['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'].map((signal) => /** @type {[string, number, () => any]} */ ([signal, 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)], () => process.kill(command(), signal)])),
    ['SIGTERM itself', 143, () => process.kill(find(shown)[0], 'SIGTERM')],
    ['SIGKILL of the command', 137, () => process.kill(command(), 'SIGKILL')],
  ];
  for (const [index, [name, code, end]] of ends.entries()) {
    const isShown = async () => (await terminal.ask('alternate_on')) === '1' && (await terminal.ask('cursor_flag')) === '0';
    const isLeft = async () => (await terminal.ask('alternate_on')) === '0' && (await terminal.ask('cursor_flag')) === '1';
    await terminal.press(`clear; ${MONIT}; echo $? > ended-${index}`, 'Enter');
    await see(terminal, /quiet +2\/2/);
    await waitFor(`${name}: it is shown`, isShown);
    await end();
    await waitFor(name, () => fs.existsSync(file(`ended-${index}`)) && fs.readFileSync(file(`ended-${index}`), 'utf8').endsWith('\n'));
    expect([name, Number(fs.readFileSync(file(`ended-${index}`), 'utf8'))]).toEqual([name, code]);
    await waitFor(`${name}: nobody is left`, () => find(shown).length === 0);
    await waitFor(`${name}: it is shown no more`, isLeft);
    await terminal.press(`stty -a > after; echo done > done-${index}`, 'Enter');
    await waitFor('the shell', () => fs.existsSync(file(`done-${index}`)));
    expect([name, fs.readFileSync(file('after'), 'utf8')]).toEqual([name, fs.readFileSync(file('before'), 'utf8')]);
  }
});

testInTerminal('it waits for a daemon that has gone, and goes on with the next one', async () => {
  const home = new Home();
  await startTwo(home);
  const terminal = new Terminal(home, MONIT);
  await see(terminal, /quiet +2\/2/);
  process.kill(home.daemonPid(), 'SIGKILL');
  await see(terminal, /no daemon runs/);
  await home.manager.ensureDaemon();
  await see(terminal, /quiet +2\/2[^]*logs of/);
  await terminal.press('G');
  await see(terminal, /logs of chat[^]*line \d+/);
});

test('without a terminal there is one clear line, and no daemon is started', async () => {
  const home = new Home();
  const { code, stdout, stderr } = await home.run('monit');
  expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: 'rcluster: monit needs a terminal: rcluster list and rcluster logs are for pipes and files\n' });
  expect(fs.existsSync(home.path)).toBe(false);
});

testInTerminal('a terminal that cannot move its cursor is told from one that can', async () => {
  const home = new Home();
  const terminal = new Terminal(home, `TERM=dumb ${MONIT}; echo code $?; cat`);
  await see(terminal, /rcluster: monit needs a terminal that can move its cursor\. Received TERM=dumb\s+code 1/);
});
