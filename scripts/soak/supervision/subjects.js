'use strict';

// Who keeps the service running: rcluster, PM2, or a plain `disconnect()` with Node's own module. All run app.js twice.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

const { freePort } = require('../../../__test__/helpers/free_port.js');

const root = path.join(__dirname, '..', '..', '..');
const APP = path.join(__dirname, 'app.js');
const PM2 = path.join(root, '__test__', 'ecosystem', 'node_modules', 'pm2', 'bin', 'pm2');

/** @type {Set<Subject>} To be ended whatever happens. */
const running = new Set();

/**
 * @param {number} pid
 * @returns {number[]}
 */
function childrenOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** What is being measured. */
class Subject {
  /** @type {string[]} Lines of output so far. */
  lines = [];
  /** @type {import('node:child_process').ChildProcess | undefined} */
  child;

  /**
   * @param {number} port
   * @param {Record<string, string>} env
   */
  constructor(port, env) {
    this.port = port;
    this.env = { ...process.env, PORT: `${port}`, ...env };
    running.add(this);
  }

  /**
   * @param {string} command
   * @param {string[]} args
   */
  spawn(command, args) {
    this.child = spawn(command, args, { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      createInterface({ input: /** @type {import('node:stream').Readable} */ (stream) }).on('line', (line) => this.lines.push(line));
    }
  }

  /** @returns {number} The primary. */
  get pid() {
    return /** @type {number} */ (this.child?.pid);
  }

  /** @returns {number[]} */
  get workers() {
    return childrenOf(this.pid);
  }

  /**
   * Waits for a line that was not there before.
   *
   * @param {RegExp} pattern
   * @param {number} [from]
   * @param {number} [timeout] ms
   */
  async line(pattern, from = 0, timeout = 60_000) {
    for (let waited = 0; waited < timeout; waited += 10) {
      const found = this.lines.slice(from).find((line) => pattern.test(line));
      if (found) return found;
      await sleep(10);
    }
    throw new Error(`no line like ${pattern}:\n${this.lines.join('\n')}`);
  }

  async stop() {
    running.delete(this);
    if (!this.child || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

class Rcluster extends Subject {
  static title = 'rcluster';

  /** @param {string[]} [args] */
  async start(args = []) {
    this.spawn(process.execPath, [path.join(root, 'bin', 'rcluster.js'), '-i', '2', ...args, APP]);
    await this.line(/workers are ready/);
  }

  /** @returns {Promise<string>} What it says of it. */
  async reload() {
    const from = this.lines.length;
    this.child?.kill('SIGHUP');
    return this.line(/replaced \d workers|The reload failed/, from);
  }
}

class Plain extends Subject {
  static title = "node:cluster, disconnect()";

  async start() {
    this.spawn(process.execPath, [path.join(__dirname, 'plain.js')]);
    await this.line(/ready/);
  }

  async reload() {
    const from = this.lines.length;
    this.child?.kill('SIGHUP');
    return this.line(/replaced/, from);
  }
}

class Pm2 extends Subject {
  static title = 'PM2, cluster mode';
  #home = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-soak-'));

  /** @param {string[]} args */
  #pm2(...args) {
    const env = { ...this.env, PM2_HOME: this.#home, PM2_DISCRETE_MODE: 'true' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [PM2, ...args], { env, encoding: 'utf8' });
    return { status, text: `${stdout}${stderr}` };
  }

  /** The same without waiting in this process, which has connections to look after. @param {string[]} args */
  async #pm2Later(...args) {
    const env = { ...this.env, PM2_HOME: this.#home, PM2_DISCRETE_MODE: 'true' };
    const child = spawn(process.execPath, [PM2, ...args], { env, stdio: 'ignore' });
    const [code] = await once(child, 'exit');
    return code;
  }

  async start() {
    if (!fs.existsSync(PM2)) throw new Error('PM2 is missing: npm ci in __test__/ecosystem');
    const { status, text } = this.#pm2('start', APP, '-i', '2', '--name', 'app');
    if (status !== 0) throw new Error(text);
    await untilServing(this.port);
  }

  /** @override */
  get pid() {
    return Number(fs.readFileSync(path.join(this.#home, 'pm2.pid'), 'utf8'));
  }

  async reload() {
    return `exit code ${await this.#pm2Later('reload', 'app')}`;
  }

  /** @override */
  async stop() {
    running.delete(this);
    this.#pm2('kill');
    fs.rmSync(this.#home, { recursive: true, force: true });
  }
}

/** @param {number} port */
async function untilServing(port) {
  for (let tries = 0; tries < 1000; tries++) {
    const socket = net.connect(port, '127.0.0.1');
    const connected = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false);
    socket.destroy();
    if (connected) return;
    await sleep(20);
  }
  throw new Error(`nobody serves port ${port}`);
}

/**
 * Starts one, has something done with it, and ends it.
 *
 * @template T
 * @param {typeof Rcluster | typeof Plain | typeof Pm2} Kind
 * @param {{ env?: Record<string, string>, args?: string[] }} options
 * @param {(subject: Rcluster | Plain | Pm2) => Promise<T>} action
 * @returns {Promise<T>}
 */
async function withSubject(Kind, { env = {}, args = [] }, action) {
  const subject = new Kind(await freePort(), env);
  try {
    await subject.start(args);
    return await action(subject);
  } finally {
    await subject.stop();
  }
}

/** Ends what is left. */
async function stopAll() {
  await Promise.all([...running].map((subject) => subject.stop()));
}

module.exports = { APP, Plain, Pm2, Rcluster, Subject, childrenOf, root, stopAll, withSubject };
