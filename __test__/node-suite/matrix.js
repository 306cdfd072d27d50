'use strict';

// Runs Node's own tests of cluster with the real Node 20, 22, 24 and 26, one after the other.
//   node __test__/node-suite/matrix.js [--nodes 22,26] [--only part-of-a-name] [--builtin-only] [--verbose]

const { parseArgs } = require('node:util');
const { fail } = require('./fetch.js');
const { nodeBinary } = require('./nodes.js');
const { isGood, table } = require('./report.js');
const { defaultJobs, printOutputs, runSuite } = require('./run.js');

/** @typedef {Awaited<ReturnType<typeof runSuite>>} Run */

const COLUMNS = /** @type {const} */ (['passed', 'failed', 'stale', 'skipped', 'excepted', 'flaky']);

/**
 * @param {Run[]} runs
 * @returns {string}
 */
function summary(runs) {
  /** @param {string[]} cells */
  const line = (cells) => cells.map((cell) => cell.padStart(10)).join('').trimEnd();
  return [
    line(['Node', ...COLUMNS]),
    ...runs.map(({ nodeVersion, counts }) => line([nodeVersion, ...COLUMNS.map((name) => String(counts[name]))])),
  ].join('\n');
}

async function main() {
  const { values } = parseArgs({
    options: {
      nodes: { type: 'string', default: '20,22,24,26' },
      only: { type: 'string', default: '' },
      'builtin-only': { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  /** @type {Run[]} */
  const runs = [];
  for (const major of values.nodes.split(',')) {
    const node = nodeBinary(major.trim());
    console.log(`\n=== Node ${major.trim()}`);
    const run = await runSuite({
      node,
      only: values.only,
      jobs: defaultJobs(),
      builtin: true,
      rcluster: !values['builtin-only'],
    });
    runs.push(run);
    // What all Nodes agree on is in the sum below; here only what needs a look.
    const remarkable = run.rows.filter(({ outcome, rcluster }) => outcome !== 'passed' || rcluster?.flaky);
    if (remarkable.length > 0) console.log(table(remarkable));
    if (values.verbose) printOutputs(run.rows);
  }
  console.log(`\n${summary(runs)}`);
  if (!runs.every(({ counts }) => isGood(counts))) process.exitCode = 1;
}

main().catch(fail);
