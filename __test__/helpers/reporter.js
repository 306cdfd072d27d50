'use strict';

// A report of jest that ends with what was not checked, and why. In CI a test that is skipped without a reason (needs.js) fails the run.

const path = require('node:path');
const { noteNotChecked } = require('../../scripts/lib/not_checked.js');
const { NOT_CHECKED } = require('./needs');

const ROOT = path.join(__dirname, '..', '..');

class Reporter {
  /** @type {Error | undefined} */
  #error;
  #config;

  /** @param {import('@jest/types').Config.GlobalConfig} config */
  constructor(config) {
    this.#config = config;
  }

  /** @param {unknown} _ @param {import('@jest/test-result').AggregatedResult} results */
  onRunComplete(_, results) {
    /** @type {Map<string, { count: number, files: Set<string> }>} */
    const reasons = new Map();
    const without = [];
    for (const { testFilePath, testResults } of results.testResults) {
      const file = path.relative(ROOT, testFilePath);
      for (const { fullName, status } of testResults) {
        if (status === 'passed' || status === 'failed') continue;
        const [, reason] = NOT_CHECKED.exec(fullName) ?? [];
        if (reason === undefined) {
          without.push(`${file}: ${fullName}`);
          continue;
        }
        const known = reasons.get(reason) ?? { count: 0, files: new Set() };
        known.count++;
        known.files.add(file);
        reasons.set(reason, known);
      }
    }
    for (const [reason, { count, files }] of reasons) {
      const line = `not checked here: ${reason}: ${count} ${count === 1 ? 'test' : 'tests'} of ${[...files].join(', ')}`;
      process.stderr.write(`${line}\n`);
      noteNotChecked(line.replace('not checked here: ', ''));
    }
    // Who asks for some tests by name knows that the others do not run.
    const some = this.#config.testNamePattern;
    if (process.env.CI && !some && without.length > 0) {
      this.#error = new Error(`these tests did not run, and no reason is given (__test__/helpers/needs.js):\n  ${without.join('\n  ')}`);
      process.stderr.write(`${this.#error.message}\n`);
    }
  }

  getLastError() {
    return this.#error;
  }
}

module.exports = Reporter;
