'use strict';

// A program that writes lines, under a manager or without one: how long until all are in the file, and what the manager has used.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { threadsUs } = require('../lib/cpu.js');
const { Manager } = require('../../manager/client.js');
const { pm2, rcluster } = require('./managers.js');

/** Who writes without a manager. */
const FILE = 'program > file';

const LINES = 300_000;
const PROGRAM = path.join(__dirname, 'lines.js');
/** Nobody takes longer (ms). */
const PATIENCE = 60_000;
/** How often it is looked (ms). */
const LOOK = 3;
/** When it has been quiet for so long (ms) a keeper has given its buffers back. */
const QUIET = 1500;

/** What all of it has, in bytes. */
const SIZE = Array.from({ length: LINES }, (_, i) => `line ${i} of a program that writes as fast as it can, and ends\n`.length).reduce((sum, length) => sum + length, 0);

/**
 * @typedef {object} Place
 * @property {string} folder For files of this round.
 * @property {string} began The file in which the program says when it began.
 * @property {NodeJS.ProcessEnv} env
 */

/** @param {number} pid */
const cpuOf = (pid) => Object.values(threadsUs(pid)).reduce((sum, us) => sum + us, 0);

/**
 * @param {string} began
 * @param {() => boolean} isDone
 */
async function secondsUntil(began, isDone) {
  const patience = Date.now() + PATIENCE;
  while (!isDone()) {
    if (Date.now() > patience) throw new Error('the lines are not there after a minute');
    await sleep(LOOK);
  }
  return (performance.timeOrigin + performance.now() - Number(fs.readFileSync(began, 'utf8'))) / 1000;
}

/** @param {Place} place */
async function withoutManager({ folder, began, env }) {
  const file = path.join(folder, 'out.log');
  const out = fs.openSync(file, 'w');
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ['ignore', out, 'inherit'] });
  const ended = once(child, 'exit');
  const seconds = await secondsUntil(began, () => fs.statSync(file).size === SIZE);
  await ended;
  fs.closeSync(out);
  return { lines: LINES / seconds };
}

/** @param {Place} place */
async function withRcluster({ folder, began, env }) {
  const rival = rcluster();
  const manager = new Manager({ home: rival.home });
  try {
    rival.run('ping');
    // One file, so that its size tells when all is there.
    const app = { name: 'lines', mode: 'program', script: PROGRAM, cwd: folder, env, autorestart: false, maxSize: 2 * SIZE };
    // Its keeper is there, and what it uses from now on is for the lines.
    await manager.start([/** @type {any} */ ({ ...app, env: { ...env, BENCH_LINES: '1' } })]);
    const keeper = /** @type {number} */ ((await manager.list())[0].keeper);
    await manager.act('lines', 'stop');
    await manager.act('lines', 'flush');
    const before = cpuOf(keeper);
    await manager.start([/** @type {any} */ (app)]);
    const file = path.join(rival.home, 'logs', 'lines-out.log');
    const seconds = await secondsUntil(began, () => size(file) >= SIZE);
    const cpu = (cpuOf(keeper) - before) / LINES;
    await sleep(QUIET);
    return { lines: LINES / seconds, cpu, after: privateMemory(keeper) };
  } finally {
    await rival.end();
    manager.close();
  }
}

/** In MB. @param {number} pid */
function privateMemory(pid) {
  const lines = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_\w+:\s+(\d+)/gm);
  return [...lines].reduce((sum, [, kb]) => sum + Number(kb), 0) / 1024;
}

/** @param {string} file */
function size(file) {
  try {
    return fs.statSync(file).size;
  } catch {
    return 0;
  }
}

/** @param {Place} place */
async function withPm2({ folder, began, env }) {
  const manager = pm2();
  const file = path.join(folder, 'out.log');
  try {
    manager.run('ping');
    const before = cpuOf(manager.daemon());
    const config = path.join(folder, 'lines.json');
    fs.writeFileSync(config, JSON.stringify({ apps: [{ name: 'lines', script: PROGRAM, cwd: folder, env, autorestart: false, out_file: file, merge_logs: true }] }));
    manager.run('start', config);
    const seconds = await secondsUntil(began, () => size(file) >= SIZE);
    return { lines: LINES / seconds, cpu: (cpuOf(manager.daemon()) - before) / LINES };
  } finally {
    await manager.end();
  }
}

const WAYS = { file: withoutManager, manager: withRcluster, pm2: withPm2 };

/** @param {keyof typeof WAYS} kind */
async function measure(kind) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const began = path.join(folder, 'began');
  try {
    return await WAYS[kind]({ folder, began, env: { PATH: process.env.PATH, HOME: folder, BENCH_LINES: String(LINES), BENCH_BEGAN: began } });
  } finally {
    fs.rmSync(folder, { recursive: true, maxRetries: 5, retryDelay: 100 });
  }
}

module.exports = { FILE, LINES, measure };
