'use strict';

// Tests that run in clusters: two functions become the code of a primary and of its workers.
//
//   const { primary, exit } = await runScenario({
//     primary({ cluster, report }) {
//       cluster.fork().on('message', report);
//     },
//     worker({ cluster }) {
//       process.send('hello', () => process.disconnect());
//     },
//   });
//   expect(primary).toEqual(['hello']);
//
// The functions run in other processes: they see their one argument, `require`, and nothing of the test around them.
// What they get is described in fixtures/scenario.js. `compare` runs the same with the built-in module as well.

const { startScript } = require('./run');

/**
 * @typedef {object} Scenario
 * @property {(tools: any) => unknown} primary
 * @property {(tools: any) => unknown} [worker]
 *
 * @typedef {object} ScenarioOptions
 * @property {'builtin' | 'rcluster'} [side] which cluster module; default: ours
 * @property {unknown} [args] what the functions get as `args`; JSON
 * @property {Record<string, string>} [env]
 * @property {string[]} [execArgv]
 * @property {number} [descriptors] how many the processes may have
 * @property {string[]} [through] a command that starts node, instead of that
 * @property {number} [timeout] ms
 *
 * @typedef {object} Outcome
 * @property {any[]} primary what the primary has reported, in order
 * @property {any[]} worker what the workers have reported, in order of arrival
 * @property {{ code: number | null, signal: string | null }} exit of the primary
 * @property {string[]} stderr of all of them
 */

/**
 * @param {Scenario} scenario
 * @returns {string} the text of an expression that gives the same object
 */
function sourceOf(scenario) {
  const members = Object.entries(scenario).map(([name, value]) => {
    const text = value.toString();
    return new RegExp(`^(async\\s+)?${name}\\s*\\(`).test(text) ? text : `${name}: ${text}`;
  });
  return `({ ${members.join(', ')} })`;
}

/**
 * Starts a scenario. Its processes are killed after the test.
 *
 * @param {Scenario} scenario
 * @param {ScenarioOptions} [options]
 */
function startScenario(scenario, { side = 'rcluster', args = null, env = {}, execArgv = [], descriptors, through } = {}) {
  const TEST_SCENARIO = JSON.stringify({ side, args, source: sourceOf(scenario) });
  const [node, ...first] = through ?? (descriptors ? ['prlimit', `--nofile=${descriptors}`] : []);
  const limited = node && { node, execArgv: [...first, process.execPath, ...execArgv] };
  return startScript('__test__/fixtures/scenario.js', { env: { ...env, TEST_SCENARIO }, execArgv, ...limited });
}

/**
 * Runs a scenario to its end.
 *
 * @param {Scenario} scenario
 * @param {ScenarioOptions} [options]
 * @returns {Promise<Outcome>}
 */
async function runScenario(scenario, options = {}) {
  const script = startScenario(scenario, options);
  const exit = await script.waitForExit({ timeout: options.timeout });
  return { primary: reportsOf(script, 'primary'), worker: reportsOf(script, 'worker'), exit, stderr: script.stderr };
}

/**
 * @param {{ stdout: string[] }} script
 * @param {'primary' | 'worker'} role
 * @returns {any[]} what has been reported so far
 */
function reportsOf({ stdout }, role) {
  const mark = `@${role} `;
  return stdout.filter((line) => line.startsWith(mark)).map((line) => JSON.parse(line.slice(mark.length)));
}

/**
 * Runs a scenario with the built-in module and with ours, and expects the same of both.
 *
 * @param {Scenario} scenario
 * @param {Omit<ScenarioOptions, 'side'>} [options]
 * @returns {Promise<Outcome>}
 */
async function compare(scenario, options = {}) {
  const [builtin, ours] = await Promise.all([
    runScenario(scenario, { ...options, side: 'builtin' }),
    runScenario(scenario, { ...options, side: 'rcluster' }),
  ]);
  expect({ ...ours, stderr: withoutPids(ours) }).toEqual({ ...builtin, stderr: withoutPids(builtin) });
  return ours;
}

/** A worker that sends back what it gets, and says when it is ready. */
function echo() {
  process.on('message', (message) => process.send(message));
  process.send('ready');
}

/** @param {Outcome} outcome */
const withoutPids = ({ stderr }) => stderr.map((line) => line.replace(/\(node:\d+\)/, '(node)'));

module.exports = { compare, echo, reportsOf, runScenario, startScenario };
