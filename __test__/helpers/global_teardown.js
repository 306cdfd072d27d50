'use strict';

// After all tests: nothing of theirs runs any more. What does is ended, and the run has failed.

const fs = require('node:fs');
const { RUN, end, ofFolder, ofRun, remembered, untilNone } = require('./leftovers');

/** How long (ms) what was killed may take to be gone. */
const ENDING = 5000;

module.exports = async () => {
  const run = /** @type {string} */ (process.env[RUN]);
  const folders = remembered(run);
  const look = () => [...new Set([...ofRun(run), ...folders.flatMap(ofFolder)])];
  await untilNone(look, ENDING);
  const left = await end(look);
  for (const folder of [run, ...folders]) fs.rmSync(folder, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`tests have left processes behind, which have been ended now:\n  ${left.join('\n  ')}`);
};
