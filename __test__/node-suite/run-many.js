'use strict';

// Runs many test files: those of test/parallel a few at a time, the others and every second try alone.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { runOne } = require('./run-one.js');

/**
 * @typedef {import('./suite.js').TestFile} TestFile
 * @typedef {import('./run-one.js').Result} Result
 * @typedef {{ node: string, rcluster: boolean, jobs: number }} How
 */

const FIRST_PORT = 12346;
const PORTS_PER_SLOT = 100;
const SAY_EVERY_MS = 10_000;

/**
 * @param {Result} result
 * @returns {boolean}
 */
const ended = (result) => result.verdict === 'pass' || result.verdict === 'skip';

/**
 * Runs the tests, and those that fail once more on their own. One that passes then is marked `flaky`.
 *
 * @param {TestFile[]} tests
 * @param {How} how
 * @returns {Promise<Map<string, Result>>} by file name
 */
async function runMany(tests, { node, rcluster, jobs }) {
  /** @type {Map<string, Result>} */
  const results = new Map();
  // In the system's folder: the path of a Unix socket may have no more than 107 bytes.
  const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const removeTmp = () => fs.rmSync(tmp, { recursive: true, force: true });
  const stopped = onSignals(removeTmp);
  const progress = setInterval(() => {
    console.error(`node-suite: ${rcluster ? 'rcluster' : 'built-in'}, ${results.size} of ${tests.length} done`);
  }, SAY_EVERY_MS);

  /**
   * @param {TestFile} test
   * @param {number} slot
   */
  const one = (test, slot) => {
    const folder = path.join(tmp, String(slot));
    fs.mkdirSync(folder, { recursive: true });
    const place = { slot, tmp: folder, port: FIRST_PORT + slot * PORTS_PER_SLOT };
    return runOne(test, { node, rcluster, place });
  };
  const queue = tests.filter((test) => !test.alone);
  /** @param {number} slot */
  const runSlot = async (slot) => {
    for (let test = queue.shift(); test; test = queue.shift()) results.set(test.name, await one(test, slot));
  };

  try {
    await Promise.all(Array.from({ length: jobs }, (_, slot) => runSlot(slot)));
    for (const test of tests) {
      const first = results.get(test.name) ?? await one(test, 0);
      results.set(test.name, ended(first) ? first : await secondTry(first, () => one(test, 0)));
    }
  } finally {
    clearInterval(progress);
    stopped.forget();
    removeTmp();
  }
  return results;
}

/**
 * Leaves in order when the user stops the run: leaving ends the tests that run, too.
 *
 * @param {() => void} cleanUp
 * @returns {{ forget(): void }}
 */
function onSignals(cleanUp) {
  const leave = () => {
    process.once('exit', cleanUp);
    process.exit(130);
  };
  process.once('SIGINT', leave).once('SIGTERM', leave);
  return { forget: () => process.off('SIGINT', leave).off('SIGTERM', leave) };
}

/**
 * @param {Result} first a failed try
 * @param {() => Promise<Result>} again
 * @returns {Promise<Result>} the second; a pass carries the output of the first
 */
async function secondTry(first, again) {
  const second = await again();
  return ended(second) ? { ...second, flaky: true, output: first.output } : second;
}

module.exports = { runMany };
