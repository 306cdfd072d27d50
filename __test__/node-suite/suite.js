'use strict';

// Where Node's own tests are, which of them take part, and what each needs.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');
const CACHE = path.join(ROOT, '.cache');
const SUITE = path.join(CACHE, 'node-suite');

/**
 * @typedef {object} TestFile
 * @property {string} name such as `test-cluster-basic.js`
 * @property {string} file its absolute path
 * @property {string[]} flags of its `// Flags:` line
 * @property {boolean} alone it must not run beside another (test/sequential)
 */

/** @returns {string | undefined} the version of the source package the tests come from; undefined when they are not there */
function suiteVersion() {
  const file = path.join(SUITE, 'VERSION');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : undefined;
}

/**
 * Every test file that requires `cluster`.
 *
 * @param {string} [only] a part of the name
 * @returns {TestFile[]} sorted by name
 */
function testFiles(only = '') {
  const found = [];
  for (const folder of ['parallel', 'sequential']) {
    const full = path.join(SUITE, 'test', folder);
    for (const name of fs.readdirSync(full)) {
      if (!/^test-.*\.m?js$/.test(name) || !name.includes(only)) continue;
      const file = path.join(full, name);
      const source = fs.readFileSync(file, 'utf8');
      if (!/require\(['"](?:node:)?cluster['"]\)/.test(source)) continue;
      const flags = /^\/\/ Flags:\s+(.*)$/m.exec(source)?.[1].trim().split(/\s+/) ?? [];
      found.push({ name, file, flags, alone: folder === 'sequential' });
    }
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

/**
 * The tests that rcluster need not pass, each with the reason.
 *
 * @returns {Record<string, string>} reason by file name
 */
function exceptions() {
  return JSON.parse(fs.readFileSync(path.join(__dirname, 'exceptions.json'), 'utf8'));
}

module.exports = { CACHE, ROOT, SUITE, exceptions, suiteVersion, testFiles };
