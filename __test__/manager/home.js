'use strict';

// A home of its own for each test, in which nothing is left running.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Manager } = require('../../manager/client.js');
const { end, forget, ofFolder, remember, untilNone } = require('../helpers/leftovers');

const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');

/** How long (ms) the daemon may take to end all in order, when the test is over. */
const KILLING = 10_000;

/** How long (ms) processes may take to be gone that have been told to end. */
const ENDING = 5000;

/** @type {Home[]} */
const homes = [];

/** The manager of a home. A test that has run out of time goes on; it starts nothing any more when its home is closed. */
class HomeManager extends Manager {
  isClosed = false;

  async ensureDaemon() {
    if (!this.isClosed && (await this.isRunning())) return;
    // That may have taken as long as the daemon lived.
    if (this.isClosed) throw new Error('the test is over');
    await super.ensureDaemon();
  }
}

class Home {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
    this.path = path.join(this.folder, 'home');
    this.manager = new HomeManager({ home: this.path });
    /** Commands that run. @type {Set<import('node:child_process').ChildProcess>} */
    this.children = new Set();
    homes.push(this);
    remember(this.folder);
  }

  /**
   * Writes a file that tests start.
   *
   * @param {string} name
   * @param {string} text
   */
  write(name, text) {
    const file = path.join(this.folder, name);
    fs.writeFileSync(file, text);
    return file;
  }

  /**
   * Starts the command.
   *
   * @param {string[]} words
   * @param {NodeJS.ProcessEnv} [env] Besides ours.
   * @param {string} [node]
   */
  spawn(words, env = {}, node = process.execPath) {
    if (this.manager.isClosed) throw new Error('the test is over');
    const child = spawn(node, [COMMAND, ...words], { cwd: this.folder, env: { ...process.env, RCLUSTER_HOME: this.path, ...env } });
    this.children.add(child);
    child.on('close', () => this.children.delete(child));
    return child;
  }

  /**
   * Runs the command to its end.
   *
   * @param {...string} words
   */
  run(...words) {
    return this.runWith({}, ...words);
  }

  /**
   * @param {{ env?: NodeJS.ProcessEnv, input?: string, node?: string }} options
   * @param {...string} words
   * @returns {Promise<{ code: number | null, stdout: string, stderr: string }>}
   */
  runWith({ env, input, node }, ...words) {
    return new Promise((resolve) => {
      const child = this.spawn(words, env, node);
      child.stdin.end(input);
      const result = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => (result.stdout += chunk));
      child.stderr.on('data', (chunk) => (result.stderr += chunk));
      child.on('close', (code) => resolve({ code, ...result }));
    });
  }

  /** @param {...string} words @returns {Promise<any>} What a verb prints with `--json`. */
  async json(...words) {
    return JSON.parse((await this.run(...words, '--json')).stdout);
  }

  /** @param {string} name */
  log(name) {
    return fs.readFileSync(path.join(this.path, 'logs', name), 'utf8');
  }

  daemonPid() {
    return Number(fs.readFileSync(path.join(this.path, 'daemon.pid'), 'utf8'));
  }

  /**
   * Ends what runs here. What the daemon has started ends with it: all that is left is ended as well, and a mistake.
   *
   * @param {number} [time] ms that the daemon has for that
   * @returns {Promise<string[]>} what was left
   */
  async close(time = KILLING) {
    const at = homes.indexOf(this);
    if (at >= 0) homes.splice(at, 1);
    for (const child of this.children) child.kill('SIGKILL');
    if (fs.existsSync(this.path)) await Promise.race([this.#kill(), sleep(time, undefined, { ref: false })]);
    this.manager.isClosed = true;
    this.manager.close();
    const look = () => ofFolder(this.folder);
    await untilNone(look, ENDING);
    const left = await end(look);
    fs.rmSync(this.folder, { recursive: true });
    forget(this.folder);
    return left;
  }

  async #kill() {
    try {
      // A daemon that a test has killed may have left keepers: the next one finds them.
      await this.manager.ensureDaemon();
      await this.manager.kill();
    } catch (error) {
      // What is left is told by then.
      if (!this.manager.isClosed) process.stderr.write(`${error}\n`);
    }
  }
}

afterEach(async () => {
  const left = [];
  for (const home of [...homes]) left.push(...(await home.close()));
  if (left.length > 0) throw new Error(`left behind, and ended now:\n  ${left.join('\n  ')}`);
});

module.exports = { Home };
