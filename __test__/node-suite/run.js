'use strict';

// Runs each of Node's own tests that requires `cluster` with rcluster, and with the built-in module what does not pass then.
//   node __test__/node-suite/run.js [--only part-of-a-name] [--verbose] [--help]

const { spawnSync } = require('node:child_process');
const os = require('node:os');
const { parseArgs } = require('node:util');
const { noteNotChecked } = require('../../scripts/lib/not_checked.js');
const { runBuiltin } = require('./builtin.js');
const { fail, fetchSuite } = require('./fetch.js');
const { countsLine, countsOf, isGood, rowsOf, table } = require('./report.js');
const { preload } = require('./run-one.js');
const { runMany } = require('./run-many.js');
const { exceptions, testFiles } = require('./suite.js');

const HELP = `Runs Node's own tests of cluster with rcluster, and with the built-in module those that do not pass then.

  --node <binary>   the Node to run them with (this one)
  --only <text>     only the files whose name contains the text
  --jobs <n>        how many of test/parallel run at a time (two per core, at most 8)
  --builtin-only    only the built-in module, without what is kept of earlier runs
  --rcluster-only   only rcluster
  --verbose         the output of the tests that fail`;

/** A test that fails needs a look at what it printed; more than this hides the rest. */
const SHOWN_OUTPUT = 6000;

/**
 * @typedef {import('./report.js').Row} Row
 * @typedef {import('./report.js').Counts} Counts
 *
 * @typedef {object} Options
 * @property {string} node path of the Node binary
 * @property {string} only
 * @property {number} jobs
 * @property {boolean} builtin run the built-in module
 * @property {boolean} rcluster run rcluster
 */

/**
 * Asks a Node for its version, and whether rcluster's native part works in it: the suite would else compare the
 * built-in module with itself.
 *
 * @param {string} node
 * @param {boolean} rcluster
 * @returns {string} the version, such as `v20.20.2`
 */
function probe(node, rcluster) {
  const script = 'console.log(JSON.stringify([process.version, require("cluster").rcluster ?? null]))';
  const env = { ...process.env, NODE_OPTIONS: rcluster ? preload() : '' };
  const { status, stdout, stderr, error } = spawnSync(node, ['-e', script], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${node} does not run: ${error?.message ?? stderr.trim()}`);
  const [version, state] = JSON.parse(stdout);
  if (rcluster && state?.native !== true) {
    throw new Error(`rcluster is not at work in Node ${version}: ${state?.reason ?? 'cluster.rcluster is missing'}`);
  }
  return version;
}

/**
 * Runs the suite with one Node.
 *
 * @param {Options} options
 * @returns {Promise<{ nodeVersion: string, suiteVersion: string, rows: Row[], counts: Counts }>}
 */
async function runSuite({ node, only, jobs, builtin, rcluster }) {
  const suiteVersion = fetchSuite();
  const nodeVersion = probe(node, rcluster);
  const tests = testFiles(only);
  if (tests.length === 0) throw new Error(`no test of cluster has "${only}" in its name`);

  const other = rcluster ? await runMany(tests, { node, rcluster: true, jobs }) : undefined;
  // What passes needs no comparison: the built-in module tells which of the others do not take part.
  const asked = tests.filter(({ name }) => other?.get(name)?.verdict !== 'pass');
  const one = builtin
    ? await runBuiltin(asked, { node, nodeVersion, suiteVersion, jobs, fresh: !rcluster })
    : undefined;
  const rows = rowsOf(tests, one, other, exceptions());
  const left = rows.filter(({ outcome }) => outcome === 'skipped').map(({ name, builtin: its }) => `${name} (${its?.verdict ?? 'skip'})`);
  if (left.length > 0) noteNotChecked(`Node's own tests that do not pass with Node's own module here (${nodeVersion}): ${left.join(', ')}`);
  return { nodeVersion, suiteVersion, rows, counts: countsOf(rows) };
}

/** @returns {number} two tests per core (they mostly wait), at most 8 */
const defaultJobs = () => Math.min(8, 2 * os.availableParallelism());

/** @param {Row[]} rows */
function printOutputs(rows) {
  for (const { name, builtin, rcluster, outcome } of rows) {
    const result = rcluster ?? builtin;
    if (!result || (outcome !== 'failed' && !result.flaky)) continue;
    const about = result.flaky ? 'its first try' : result.verdict;
    console.log(`\n--- ${name} (${about})\n${result.output.trim().slice(-SHOWN_OUTPUT)}`);
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      node: { type: 'string', default: process.execPath },
      only: { type: 'string', default: '' },
      jobs: { type: 'string', default: String(defaultJobs()) },
      'builtin-only': { type: 'boolean', default: false },
      'rcluster-only': { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs takes a whole number from 1, not "${values.jobs}"`);
  if (values['builtin-only'] && values['rcluster-only']) {
    throw new Error('--builtin-only and --rcluster-only leave nothing to run');
  }

  const started = Date.now();
  const { nodeVersion, suiteVersion, rows, counts } = await runSuite({
    node: values.node,
    only: values.only,
    jobs,
    builtin: !values['rcluster-only'],
    rcluster: !values['builtin-only'],
  });
  console.log(table(rows));
  if (values.verbose) printOutputs(rows);
  else if (!isGood(counts)) console.log('\nRun again with --only <name> --verbose to see what a failed test printed.');
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`\nNode ${nodeVersion}, tests of nodejs ${suiteVersion}, ${seconds} s`);
  console.log(`node-suite: ${countsLine(counts)}`);
  if (!isGood(counts)) process.exitCode = 1;
  return undefined;
}

module.exports = { defaultJobs, printOutputs, runSuite };

if (require.main === module) main().catch(fail);
