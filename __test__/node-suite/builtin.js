'use strict';

// What Node's built-in module makes of the tests. It never changes for one Node and one suite, so passes are kept.
// Failures are not: a failure by chance must not take a test out for good.

const fs = require('node:fs');
const path = require('node:path');
const { CACHE } = require('./suite.js');
const { runMany } = require('./run-many.js');

/**
 * @typedef {import('./suite.js').TestFile} TestFile
 * @typedef {import('./run-one.js').Result} Result
 */

/**
 * @param {TestFile[]} tests
 * @param {{ node: string, nodeVersion: string, suiteVersion: string, jobs: number, fresh: boolean }} options `fresh`: run
 *   all of them, whatever is kept
 * @returns {Promise<Map<string, Result>>} by file name
 */
async function runBuiltin(tests, { node, nodeVersion, suiteVersion, jobs, fresh }) {
  // Two tests skip when they run as root.
  const user = process.getuid?.() === 0 ? 'root' : 'user';
  const file = path.join(CACHE, 'node-suite-builtin', `${nodeVersion}-${process.arch}-${user}-${suiteVersion}.json`);
  /** @type {Record<string, Result>} */
  const kept = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
  const missing = tests.filter((test) => fresh || !(test.name in kept));
  const results = await runMany(missing, { node, rcluster: false, jobs });

  for (const [name, { verdict, ms }] of results) {
    if (verdict === 'pass' || verdict === 'skip') kept[name] = { verdict, ms, output: '' };
    else delete kept[name];
  }
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify(kept, null, 1));
  for (const test of tests) if (!results.has(test.name)) results.set(test.name, kept[test.name]);
  return results;
}

module.exports = { runBuiltin };
