'use strict';

// Runs the steps of `npm test` and `npm run lint`: a heading, the command with its output shown as it comes, the time.

const { spawn } = require('node:child_process');
const { root } = require('./sources.js');

/**
 * @typedef {{ passed: number, failed: number, skipped?: number }} Counts
 * @typedef {object} Step
 * @property {string} name what the step is called on the command line
 * @property {string} title what it does, for the heading
 * @property {string} command
 * @property {string[]} args
 * @property {(output: string) => Counts} [count] reads the number of tests from the output; without it the step
 *   itself counts as one
 * @property {boolean} [computes] whether it needs a processor all the time, and little of it is told by clocks: it may run beside those that wait
 * @property {number} [skipCode] the exit code that means "could not run here"
 */

// eslint-disable-next-line no-control-regex -- the escape sequences of colours
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * Runs a command in the project's folder, shows its output and keeps it.
 *
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ code: number, output: string }>} `code` is 1 when a signal ended the command
 */
function show(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const [from, to] of /** @type {const} */ ([[child.stdout, process.stdout], [child.stderr, process.stderr]])) {
    from.setEncoding('utf8');
    from.on('data', (text) => {
      output += text;
      to.write(text);
    });
  }
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 1, output: `${command}: ${error.message}` }));
    child.once('close', (code) => resolve({ code: code ?? 1, output: output.replace(COLOURS, '') }));
  });
}

/**
 * Runs one step. In CI a step that could not run is a failed one: there nobody reads why.
 *
 * @param {Step} step
 * @returns {Promise<Counts & { ok: boolean }>}
 */
async function runStep(step) {
  process.stdout.write(`\n=== ${step.name}: ${step.title}\n`);
  const started = Date.now();
  const { code, output } = await show(step.command, step.args);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);

  const skipped = step.skipCode !== undefined && code === step.skipCode;
  const ok = code === 0 || (skipped && !process.env.CI);
  const counts = skipped ? { passed: 0, failed: 0 } : (step.count?.(output) ?? { passed: ok ? 1 : 0, failed: 0 });
  // A step that broke before it counted anything has still failed.
  if (!ok && counts.failed === 0) counts.failed = 1;
  const word = skipped ? 'SKIPPED (it could not run here, see above)' : ok ? 'ok' : 'FAILED';
  process.stdout.write(`=== ${step.name}: ${word} in ${seconds} s\n`);
  return { ...counts, ok };
}

/**
 * Runs the steps in order and stops at the first that fails.
 *
 * @param {Step[]} steps
 * @returns {Promise<Counts & { ok: boolean }>} the sum
 */
async function runSteps(steps) {
  const sum = { passed: 0, failed: 0, skipped: 0, ok: true };
  for (const step of steps) {
    const result = await runStep(step);
    sum.passed += result.passed;
    sum.failed += result.failed;
    sum.skipped += result.skipped ?? 0;
    sum.ok = result.ok;
    if (!sum.ok) break;
  }
  return sum;
}

/** Names of several steps. @type {Record<string, (step: Step) => boolean>} */
const KINDS = { computing: ({ computes }) => computes === true, waiting: ({ computes }) => computes !== true };

/**
 * The steps that were asked for by name or by kind, or all of them.
 *
 * @param {Step[]} steps
 * @param {string[]} names
 * @returns {Step[]}
 * @throws {Error} for a name that no step has
 */
function choose(steps, names) {
  const known = [...steps.map((step) => step.name), ...(steps.some(KINDS.computing) ? Object.keys(KINDS) : [])];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no step is called "${unknown[0]}"; there are: ${known.join(', ')}`);
  const kinds = names.flatMap((name) => KINDS[name] ?? []);
  return names.length === 0 ? steps : steps.filter((step) => names.includes(step.name) || kinds.some((isOf) => isOf(step)));
}

module.exports = { choose, runSteps, show };
