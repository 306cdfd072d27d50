'use strict';

// Runs one test file in a process group of its own, within a limit of time, and says how it ended.

const { spawn } = require('node:child_process');
const path = require('node:path');
const { ROOT, SUITE } = require('./suite.js');

const LIMIT_MS = 40_000;
const KEPT_OUTPUT = 64 * 1024;

/** The groups that run now: being groups of their own, they would outlive this process. */
const running = new Set();
process.once('exit', () => running.forEach(endGroup));

/**
 * @typedef {import('./suite.js').TestFile} TestFile
 *
 * @typedef {'pass' | 'skip' | 'fail' | 'timeout'} Verdict
 * @typedef {{ verdict: Verdict, ms: number, output: string, flaky?: boolean }} Result
 *
 * @typedef {object} Place where a test runs, so that those running beside it do not meet it
 * @property {number} slot
 * @property {string} tmp a folder for its temporary files
 * @property {number} port the first port it may use by number
 */

/**
 * The value of NODE_OPTIONS that puts rcluster in the place of the built-in module.
 *
 * @returns {string}
 */
function preload() {
  const file = path.join(ROOT, 'index.js').replace(/[\\"]/g, '\\$&');
  return `--require="${file}"`;
}

/**
 * The caller's environment without what would change a test's Node.
 *
 * @param {Place} place
 * @param {boolean} rcluster
 * @returns {NodeJS.ProcessEnv}
 */
function environment(place, rcluster) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(NODE_|npm_|JEST_)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    // The suite is older than some Nodes and does not know their newer globals.
    NODE_TEST_KNOWN_GLOBALS: '0',
    NODE_TEST_DIR: place.tmp,
    NODE_COMMON_PORT: String(place.port),
    TEST_THREAD_ID: String(place.slot),
    ...(rcluster ? { NODE_OPTIONS: preload() } : {}),
  };
}

/**
 * @param {number | null} code
 * @param {boolean} late
 * @param {string} output
 * @returns {Verdict}
 */
function judge(code, late, output) {
  if (late) return 'timeout';
  if (code !== 0) return 'fail';
  return /^1\.\.0 # Skipped/m.test(output) ? 'skip' : 'pass';
}

/**
 * @param {TestFile} test
 * @param {{ node: string, rcluster: boolean, place: Place }} options
 * @returns {Promise<Result>}
 */
function runOne(test, { node, rcluster, place }) {
  const started = Date.now();
  const child = spawn(node, [...test.flags, test.file], {
    cwd: SUITE,
    env: environment(place, rcluster),
    // A group of its own: what a failed test leaves behind is ended with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  /** @param {string} text */
  const keep = (text) => {
    output = (output + text).slice(-KEPT_OUTPUT);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);

  return new Promise((resolve, reject) => {
    child.once('error', reject);
    const { pid } = child;
    if (pid === undefined) return;
    running.add(pid);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      endGroup(pid);
    }, LIMIT_MS);
    // Leftovers hold the pipes open and would delay 'close', so they end first.
    child.once('exit', () => endGroup(pid));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (signal && !late) keep(`\n(ended by ${signal})\n`);
      if (late) keep(`\n(not done after ${LIMIT_MS / 1000} s)\n`);
      resolve({ verdict: judge(code, late, output), ms: Date.now() - started, output });
    });
  });
}

/** @param {number} pid the leader of the group */
function endGroup(pid) {
  running.delete(pid);
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of the group is left.
  }
}

module.exports = { preload, runOne };
