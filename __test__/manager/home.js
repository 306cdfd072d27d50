'use strict';

// A home of its own for each test, in which nothing is left running.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Manager } = require('../../manager/client.js');

const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');

/** @type {Home[]} */
const homes = [];

class Home {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
    this.path = path.join(this.folder, 'home');
    this.manager = new Manager({ home: this.path });
    /** Commands that run. @type {Set<import('node:child_process').ChildProcess>} */
    this.children = new Set();
    homes.push(this);
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

  async close() {
    for (const child of this.children) child.kill('SIGKILL');
    if (fs.existsSync(this.path)) {
      // A daemon that a test has killed may have left keepers: the next one finds them.
      await this.manager.ensureDaemon();
      await this.manager.kill();
    }
    this.manager.close();
    fs.rmSync(this.folder, { recursive: true });
  }
}

afterEach(async () => {
  for (const home of homes.splice(0)) await home.close();
});

module.exports = { Home };
