'use strict';

// The files that take longest begin first: one that begins last runs alone in the end, while the other processor idles. On a fresh clone jest
// knows no times, and begins with the largest files.

const fs = require('node:fs');
const path = require('node:path');
const Sequencer = require('@jest/test-sequencer').default;

const TESTS = path.join(__dirname, '..');

/** Those that take longest, in that order. */
const LONG = [
  'package', 'manager/upgrade', 'manager/both_modes', 'supervisor/proxy-protocol', 'manager/verbs', 'supervisor/upgrade', 'manager/incidents',
  'manager/config_files', 'manager/ecosystems', 'manager/frozen', 'supervisor/version', 'supervisor/drain-movable', 'supervisor/guarded',
  'manager/pm2_walk', 'supervisor/spread', 'hostile-queue', 'hostile-listening', 'manager/start', 'manager/apply', 'hostile-channel',
  'manager/daemon_kills', 'manager/guard', 'manager/monit', 'manager/web_browser', 'fidelity/start', 'supervisor/upgrade-hangs', 'channel-values',
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
