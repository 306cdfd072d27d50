'use strict';

// The files that take longest begin first: one that begins last runs alone in the end, while the other processor idles. On a fresh clone jest
// knows no times, and begins with the largest files.

const fs = require('node:fs');
const path = require('node:path');
const Sequencer = require('@jest/test-sequencer').default;

const TESTS = path.join(__dirname, '..');

/** Those of more than 30 s on two processors. */
const LONG = [
  'manager/upgrade', 'manager/incidents', 'manager/frozen', 'package', 'hostile-channel', 'hostile-listening', 'hostile-queue', 'supervisor/drain-movable',
  'supervisor/upgrade-hangs', 'supervisor/upgrade', 'manager/guard', 'supervisor/guarded', 'manager/web_browser', 'manager/start', 'fidelity/start',
  'supervisor/spread', 'channel-values',
].map((name) => path.join(TESTS, `${name}.test.js`));

module.exports = class extends Sequencer {
  /**
   * @override
   * @param {import('@jest/test-result').Test[]} tests
   */
  sort(tests) {
    const gone = LONG.filter((file) => !fs.existsSync(file));
    if (gone.length > 0) throw new Error(`__test__/helpers/sequencer.js names files that are not there: ${gone.join(', ')}`);
    const place = (/** @type {string} */ file) => (LONG.includes(file) ? LONG.indexOf(file) : LONG.length);
    return super.sort(tests).sort((one, other) => place(one.path) - place(other.path));
  }
};
