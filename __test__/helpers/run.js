'use strict';

// The harness of the jest tests: start scripts, wait for conditions, ask over HTTP, and leave nothing behind.
//
//   const { request, startScript, waitFor } = require('./helpers/run');
//   const app = startScript('examples/http.js', { env: { PORT: '0' } });
//   const [, port] = await app.waitForLine(/127\.0\.0\.1:(\d+)/);
//   const { body } = await request(port);
//   expect(await app.stop()).toEqual({ code: 0, signal: null });
//
// Whatever a test started is killed after it. Never sleep for a fixed time: wait for a line, an exit or a condition.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { isAlive } = require('./proc');

const ROOT = path.join(__dirname, '..', '..');
const TIMEOUT = 15_000; // ms, of every wait

/** @type {Set<Script>} what runs, or ran, in the current test */
const scripts = new Set();

/**
 * @typedef {object} ScriptOptions
 * @property {string[]} [args] arguments of the script
 * @property {Record<string, string | undefined>} [env] variables to add to our own; `undefined` takes one away
 * @property {string[]} [execArgv] arguments of node
 * @property {string} [cwd] default: the project's folder
 * @property {string} [node] the node to run; default: ours
 */

/** A process and its output. Made by `startScript`. */
class Script {
  /** @type {string[]} complete lines of standard output so far */
  stdout = [];
  /** @type {string[]} complete lines of standard error so far */
  stderr = [];
  /** @type {Set<() => void>} called whenever there is news */
  #waiting = new Set();
  /** @type {{ code: number | null, signal: string | null } | null} */
  #exit = null;

  /**
   * @param {string} file
   * @param {ScriptOptions} options
   */
  constructor(file, { args = [], env = {}, execArgv = [], cwd = ROOT, node = process.execPath }) {
    // In a process group of its own: the whole of it can be killed, and Ctrl-C can be played to the whole of it.
    this.child = spawn(node, [...execArgv, file, ...args], {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.on('error', (error) => this.stderr.push(String(error)));
    this.#collect(this.child.stdout, this.stdout);
    this.#collect(this.child.stderr, this.stderr);
    // 'close' and not 'exit', so that all output is there by then.
    this.child.on('close', (code, signal) => {
      this.#exit = { code, signal };
      this.#wake();
    });
  }

  /** @returns {number} the process id */
  get pid() {
    if (this.child.pid === undefined) throw new Error(this.describe());
    return this.child.pid;
  }

  /**
   * Waits for a line of standard output or standard error, from the beginning on.
   *
   * @param {RegExp} pattern
   * @param {{ timeout?: number }} [options] milliseconds
   * @returns {Promise<RegExpMatchArray>} the first match; rejects when the process ends without one
   */
  async waitForLine(pattern, { timeout = TIMEOUT } = {}) {
    const find = () => {
      for (const line of [...this.stdout, ...this.stderr]) {
        const match = line.match(pattern);
        if (match) return match;
      }
      return null;
    };
    return this.#until(`a line like ${pattern}`, timeout, () => {
      const match = find();
      if (!match && this.#exit) throw new Error(`ended without a line like ${pattern}\n${this.describe()}`);
      return match;
    });
  }

  /**
   * Waits until the process has ended and all who hold its output streams, such as its workers, have closed them.
   *
   * @param {{ timeout?: number }} [options] milliseconds
   * @returns {Promise<{ code: number | null, signal: string | null }>}
   */
  async waitForExit({ timeout = TIMEOUT } = {}) {
    return this.#until('the end of the process', timeout, () => this.#exit);
  }

  /**
   * Sends a signal to the process and waits for its end.
   *
   * @param {NodeJS.Signals} [signal]
   * @param {{ timeout?: number }} [options] milliseconds
   */
  async stop(signal = 'SIGTERM', options) {
    process.kill(this.pid, signal);
    return this.waitForExit(options);
  }

  /**
   * Sends a signal to the process and all its workers, as a terminal does on Ctrl-C.
   *
   * @param {NodeJS.Signals} signal
   */
  signalGroup(signal) {
    process.kill(-this.pid, signal);
  }

  /** Kills the process and all its workers. */
  async cleanUp() {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
    }
    await this.waitForExit();
  }

  /** @returns {string} what it has printed, for messages of failed tests */
  describe() {
    const outcome = this.#exit ? `ended with ${JSON.stringify(this.#exit)}` : 'still running';
    return [`${this.child.spawnargs.join(' ')}: ${outcome}`, ...this.stdout, ...this.stderr].join('\n  ');
  }

  /**
   * @param {import('node:stream').Readable} stream
   * @param {string[]} lines
   */
  #collect(stream, lines) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      this.#wake();
    });
  }

  #wake() {
    for (const check of [...this.#waiting]) check();
  }

  /**
   * @template T
   * @param {string} what
   * @param {number} timeout
   * @param {() => T | null} find
   * @returns {Promise<T>}
   */
  #until(what, timeout, find) {
    return new Promise((resolve, reject) => {
      const settle = (/** @type {() => void} */ outcome) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        outcome();
      };
      const check = () => {
        try {
          const found = find();
          if (found !== null) settle(() => resolve(found));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const late = () => reject(new Error(`no sign of ${what} within ${timeout} ms\n${this.describe()}`));
      const timer = setTimeout(() => settle(late), timeout);
      this.#waiting.add(check);
      check();
    });
  }
}

/**
 * Runs a script in a new node process. It, and the workers it forks, are killed after the test.
 *
 * @param {string} file absolute, or from the project's folder
 * @param {ScriptOptions} [options]
 * @returns {Script}
 */
function startScript(file, options = {}) {
  const script = new Script(file, options);
  scripts.add(script);
  return script;
}

/**
 * Waits until a condition holds.
 *
 * @template T
 * @param {() => T | Promise<T>} condition asked again until it returns something true
 * @param {{ timeout?: number, interval?: number, message?: string | (() => string) }} [options] milliseconds; what to
 *   say when it never held
 * @returns {Promise<T>} what the condition returned
 */
async function waitFor(condition, { timeout = TIMEOUT, interval = 10, message = String(condition) } = {}) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) {
      throw new Error(`not within ${timeout} ms: ${typeof message === 'function' ? message() : message}`);
    }
    await sleep(interval);
  }
}

/** @param {number[]} pids processes that are to end, whether by themselves or not */
async function waitForDeath(pids) {
  const living = () => pids.filter(isAlive);
  await waitFor(() => living().length === 0, { message: () => `processes live on: ${living().join(', ')}` });
}

/** Other processes of the current test. @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/**
 * Sees that a process ends with the test. What a test ends itself, in a `finally`, it does not end when its time is over while it waits.
 *
 * @template {import('node:child_process').ChildProcess} T
 * @param {T} child that has just been started
 * @returns {T} the same
 */
function endWithTest(child) {
  children.add(child);
  child.once('exit', () => children.delete(child)).once('error', () => children.delete(child));
  return child;
}

/** Kills what `startScript` started, and what `endWithTest` knows. Runs after each test by itself. */
async function cleanUp() {
  const all = [...scripts];
  scripts.clear();
  const ends = [...children].map((child) => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    return ended;
  });
  await Promise.all([...ends, ...all.map((script) => script.cleanUp())]);
}

if (typeof afterEach === 'function') afterEach(cleanUp);

module.exports = { ROOT, endWithTest, startScript, waitFor, waitForDeath, ...require('./http'), ...require('./proc') };
