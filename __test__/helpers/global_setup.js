'use strict';

// Before all tests: a folder that tells what belongs to this run (leftovers.js). When the run is told to end, by a limit of time or by Ctrl-C, its tests
// do not come to their end: what they have started is ended here.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { RUN, end, ofFolder, ofRun, remembered } = require('./leftovers');

/** @param {string} run the folder */
async function leave(run) {
  const folders = remembered(run);
  await end(() => [...new Set([...ofRun(run, { runners: true }), ...folders.flatMap(ofFolder)])]);
  for (const folder of [run, ...folders]) fs.rmSync(folder, { recursive: true, force: true });
}

module.exports = () => {
  const run = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-run-'));
  process.env[RUN] = run;
  for (const signal of /** @type {const} */ (['SIGHUP', 'SIGINT', 'SIGTERM'])) {
    process.once(signal, () => void leave(run).finally(() => process.exit(128 + os.constants.signals[signal])));
  }
};
