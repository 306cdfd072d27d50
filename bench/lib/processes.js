'use strict';

/**
 * Starting the processes that are measured, and ending every one of them: each runs in a process group of its
 * own, which is ended as a whole by the id that we were given for it, also on failure and on Ctrl-C.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const readline = require('node:readline');

/** @type {Set<Running>} */
const running = new Set();

/**
 * @typedef {object} StartOptions
 * @property {string} command
 * @property {string[]} args
 * @property {NodeJS.ProcessEnv} [env]  on top of ours
 * @property {number} [timeout]  milliseconds until the first line must be there; default 30,000
 */

class Running {
  /** @param {StartOptions} options */
  constructor({ command, args, env, timeout = 30_000 }) {
    this.name = [command, ...args].map((part) => part.split('/').pop()).join(' ');
    this.timeout = timeout;
    // Standard input stays open as long as we live; a server that sees it end knows that we are gone.
    this.child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.stderr = '';
    this.child.stderr.on('data', (chunk) => (this.stderr = (this.stderr + chunk).slice(-4000)));
    this.child.on('error', () => {});
    this.child.stdin.on('error', () => {});
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.ended = once(this.child, 'close');
    this.ended.then(() => running.delete(this), () => running.delete(this));
    running.add(this);
  }

  /**
   * Reads the next line of JSON from the process.
   * @returns {Promise<any>}
   */
  async line() {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(this.failure(`said nothing for ${this.timeout} ms`)), this.timeout);
    });
    const gone = this.ended.then(([code, signal]) => {
      throw this.failure(`ended early (${signal ?? code})`);
    });
    try {
      const { value } = await Promise.race([this.lines.next(), late, gone]);
      return JSON.parse(value);
    } finally {
      clearTimeout(timer);
      // Whoever lost the race must not come back as an unhandled rejection.
      gone.catch(() => {});
    }
  }

  /**
   * Asks for one more line.
   * @returns {Promise<any>} its JSON
   */
  next() {
    this.child.stdin.write('\n');
    return this.line();
  }

  /** Ends the process and all it has started, and waits for it. */
  async stop() {
    this.signal('SIGTERM');
    const slow = setTimeout(() => this.signal('SIGKILL'), 3000);
    await this.ended.catch(() => {});
    clearTimeout(slow);
    // The leader has ended by itself; what it may have left behind ends with its group.
    this.signal('SIGKILL');
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // The whole group has ended: that is what was wanted.
    }
  }

  /** @param {string} what */
  failure(what) {
    const said = this.stderr.trim().split('\n').slice(-12).join('\n');
    return new Error(`${this.name} ${what}${said && `\n${said}`}`);
  }
}

/**
 * Starts a process, reads its first line of JSON, and ends it.
 * @param {StartOptions} options
 * @returns {Promise<any>}
 */
async function ask(options) {
  const process_ = new Running(options);
  try {
    return await process_.line();
  } finally {
    await process_.stop();
  }
}

/** Ends everything at once, for when we end ourselves. */
function endAll() {
  for (const one of running) one.signal('SIGKILL');
}

process.on('exit', endAll);
for (const [name, code] of /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])) {
  process.on(name, () => process.exit(code));
}

module.exports = { Running, ask };
