'use strict';

// One attack: a fresh primary, what it did before, while the worker lives, and after its death.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { Load } = require('./load.js');
const { costs } = require('./proc.js');

/**
 * @typedef {object} Times in ms
 * @property {number} before
 * @property {number} shortest the least and the most that the hostile worker lives
 * @property {number} longest
 * @property {number} after
 * @property {number} settle how long the primary may take to be rid of everything
 * @property {number} idle
 * @property {number} peace how long nobody asks while it lives and has done what it does
 */

/** @type {Times} */
const THOROUGH = Object.freeze({ before: 700, shortest: 2500, longest: 9000, after: 1500, settle: 1500, idle: 1000, peace: 500 });
/** @type {Times} */
const QUICK = Object.freeze({ before: 500, shortest: 1700, longest: 8000, after: 700, settle: 800, idle: 500, peace: 300 });

const CLIENTS = 16;
/** How long (ms) the first answer may take. */
const FIRST = 10_000;
/** How long (ms) listeners outlive a worker that crashed (lib/primary/listeners.js), and some more. */
const LINGER = 6000;
/** Descriptors that a dead worker may have left: what the primary has opened for the first time. */
const FDS_LEFT = 4;

/** @typedef {import('./load.js').Phase & { ms: number }} Timed */

/**
 * @typedef {object} Figures
 * @property {Timed} before
 * @property {Timed} during
 * @property {Timed} after
 * @property {{ fds: number, mib: number }} costBefore
 * @property {{ fds: number, mib: number }} costMost while the worker lived
 * @property {{ fds: number, mib: number, cpu: number }} [costAfter] `cpu`: percent of a processor, with nothing to do; without
 *   a primary there is none
 * @property {{ before: number, most: number, after: number }} siblings their descriptors
 * @property {number} cpuBeside percent of a processor that the primary needs beside the worker with nothing to do
 * @property {number} delay ms of the longest turn of the primary's event loop
 * @property {string[]} noticed codes of errors and warnings
 * @property {boolean} gone whether the dead worker is forgotten
 * @property {boolean} pong whether messages pass afterwards
 * @property {boolean} joined whether a new worker serves afterwards
 * @property {string[]} ended how the primary ended, if it did
 * @property {string[]} said by the hostile worker
 * @property {string[]} removed files that are not for it to remove, and are not there any more
 */

class Primary {
  /** @type {any[]} */
  messages = [];
  /** @type {string[]} */
  lines = [];
  /** @type {string | undefined} */
  ended;

  /**
   * @param {string} binary
   * @param {number} policy
   * @param {string} [packageFolder]
   * @param {NodeJS.ProcessEnv} [more] of its environment
   */
  constructor(binary, policy, packageFolder, more) {
    const env = { ...process.env, ...more, HOSTILE_BINARY: binary, HOSTILE_POLICY: `${policy}` };
    if (packageFolder) Object.assign(env, { RCLUSTER_PACKAGE: path.resolve(packageFolder) });
    const options = { env, execArgv: ['--expose-gc'], stdio: /** @type {any} */ (['ignore', 'pipe', 'pipe', 'ipc']) };
    this.process = fork(path.join(__dirname, 'primary.js'), options);
    this.process.on('message', (message) => this.messages.push(message));
    this.process.on('exit', (code, signal) => (this.ended = `${signal ?? code}`));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (text) => this.lines.push(...`${text}`.split('\n').filter(Boolean)));
    }
  }

  get pid() {
    return /** @type {number} */ (this.process.pid);
  }

  /** @param {object} order */
  order(order) {
    if (this.process.connected) this.process.send(order, () => {});
  }

  /**
   * @param {string} name of a message's property
   * @param {number} [ms]
   * @returns {Promise<any>} the last such message; `undefined` when none came in time
   */
  async get(name, ms = 10_000) {
    for (const until = Date.now() + ms; ; await sleep(10)) {
      const found = this.messages.findLast((message) => name in message);
      if (found || this.ended || Date.now() > until) return found;
    }
  }

  /** @param {string} name */
  all(name) {
    return this.messages.filter((message) => name in message).map((message) => message[name]);
  }

  async end() {
    if (this.ended === undefined) {
      this.process.kill('SIGKILL');
      await once(this.process, 'exit');
    }
  }
}

/**
 * @param {{ name: string, policy: number, supervised?: boolean, drops?: boolean }} attack
 * @param {string} binary
 * @param {string} [packageFolder]
 * @param {Times} [times]
 * @returns {Promise<Figures>}
 */
async function tryOut({ name, policy, supervised, drops }, binary, packageFolder, times = THOROUGH) {
  const primary = new Primary(binary, policy, packageFolder, { HOSTILE_SUPERVISED: supervised ? '1' : '' });
  const { port, pids = [] } = (await primary.get('port')) ?? {};
  const siblingFds = () => pids.reduce((/** @type {number} */ sum, /** @type {number} */ pid) => sum + (costs(pid)?.fds ?? 0), 0);
  if (!port) throw new Error(`the primary did not start: ${primary.lines.join('\n')}`);
  const load = new Load(port, CLIENTS);
  let hostile = 0;
  try {
    const asked = Date.now();
    await sleep(times.before);
    // A machine that is busy with something else may need longer for the first.
    while (!load.isAnswered && Date.now() - asked < FIRST) await sleep(10);
    const before = { ...load.next(), ms: Date.now() - asked };
    const costBefore = { fds: 0, mib: 0, ...costs(primary.pid) };
    const costMost = { ...costBefore };
    const siblings = { before: siblingFds(), most: 0, after: 0 };
    const watch = setInterval(() => {
      const now = costs(primary.pid);
      costMost.fds = Math.max(costMost.fds, now?.fds ?? 0);
      siblings.most = Math.max(siblings.most, siblingFds());
      costMost.mib = Math.max(costMost.mib, now?.mib ?? 0);
    }, 50);
    primary.order({ order: 'delay' });
    await primary.get('delay');
    primary.messages = primary.messages.filter((message) => !('delay' in message));
    load.next();
    const began = Date.now();
    primary.order({ order: 'hostile', attack: name });
    hostile = (await primary.get('hostile'))?.hostile ?? 0;
    const isDone = () => primary.lines.includes('hostile: done');
    while (!primary.ended && Date.now() - began < (isDone() ? times.shortest : times.longest)) await sleep(20);
    const during = { ...load.next(), ms: Date.now() - began };
    const cpuBeside = isDone() ? await peace(load, primary.pid, times.peace) : 0;
    if (hostile) kill(hostile);
    await sleep(times.after / 2);
    // The client's kernel sends what was dropped again, a second later at the soonest: those that asked a living worker are not judged.
    if (drops) await load.underWay();
    load.next();
    await sleep(times.after);
    const after = { ...load.next(), ms: times.after };
    clearInterval(watch);
    await load.stop();
    primary.order({ order: 'delay' });
    const { delay = Infinity, gone = false } = (await primary.get('delay')) ?? {};
    await sleep(times.settle);
    // What only a worker that crashed has listened on is open for some seconds more.
    const settled = () => (costs(primary.pid)?.fds ?? 0) <= costBefore.fds + FDS_LEFT;
    for (const until = Date.now() + LINGER; !settled() && Date.now() < until; ) await sleep(100);
    primary.order({ order: 'collect' });
    await primary.get('collected');
    await sleep(times.settle / 4);
    const idle = costs(primary.pid);
    siblings.after = siblingFds();
    await sleep(times.idle);
    const end = costs(primary.pid);
    const costAfter = idle && end ? { ...end, cpu: Math.round(((end.cpu - idle.cpu) / times.idle) * 100) } : undefined;
    primary.order({ order: 'ping' });
    primary.order({ order: 'fork' });
    const pong = (await primary.get('pong', 5000)) !== undefined;
    const joined = (await primary.get('joined', 8000)) !== undefined;
    const noticed = [...primary.all('noticed'), ...primary.all('warning')];
    const ended = primary.ended === undefined ? [] : [primary.ended, ...primary.all('uncaught'), ...primary.lines.slice(-3)];
    const said = primary.lines.filter((line) => !/^hostile: (begins|done)$/.test(line));
    const removed = preciousIn(said).filter((file) => !fs.existsSync(file));
    return { before, during, after, costBefore, costMost, costAfter, siblings, cpuBeside, delay, noticed, gone, pong, joined, ended, said, removed };
  } finally {
    if (hostile) kill(hostile);
    await primary.end();
    // Some would have to close thousands of sockets before they see that it is gone.
    for (const pid of pids) kill(pid);
    await load.stop();
    for (const file of preciousIn(primary.lines)) fs.rmSync(path.dirname(path.dirname(file)), { recursive: true, force: true });
  }
}

/**
 * Files that the worker tried to have removed: each in a folder in one that it has made.
 *
 * @param {string[]} lines that it has printed
 */
const preciousIn = (lines) => lines.flatMap((line) => /^hostile: precious (.*)/.exec(line)?.[1] ?? []);

/**
 * What a primary needs that has nothing to do.
 *
 * @param {Load} load
 * @param {number} pid
 * @param {number} ms
 */
async function peace(load, pid, ms) {
  load.pause(true);
  await sleep(ms / 2);
  const before = costs(pid)?.cpu ?? 0;
  await sleep(ms);
  const after = costs(pid)?.cpu ?? 0;
  load.pause(false);
  return Math.round(((after - before) / ms) * 100);
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

module.exports = { FDS_LEFT, Primary, QUICK, kill, tryOut };
