'use strict';

// Runs the steps of `npm test` and `npm run lint`: a heading, the command with its output shown as it comes, the time.

const { spawn } = require('node:child_process');
const os = require('node:os');
const { noteNotChecked } = require('./not_checked.js');
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
 * @property {() => Promise<unknown>} [ready] what it waits for before it begins
 * @property {boolean} [computes] whether it needs a processor all the time, and little of it is told by clocks: it runs beside those that wait
 * @property {number} [skipCode] the exit code that means "could not run here"
 */

// eslint-disable-next-line no-control-regex -- the escape sequences of colours
const COLOURS = /\u001b\[[0-9;]*m/g;

/**
 * Runs a command in the project's folder, and keeps its output.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ quiet?: boolean, niceness?: number, signal?: AbortSignal }} [options] `quiet`: its output is not shown as it comes; `signal` ends it
 * @returns {Promise<{ code: number, output: string }>} `code` is 1 when a signal ended the command
 */
function show(command, args, { quiet = false, niceness = 0, signal } = {}) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], signal });
  if (niceness > 0 && child.pid !== undefined) os.setPriority(child.pid, niceness);
  let output = '';
  for (const [from, to] of /** @type {const} */ ([[child.stdout, process.stdout], [child.stderr, process.stderr]])) {
    from.setEncoding('utf8');
    from.on('data', (text) => {
      output += text;
      if (!quiet) to.write(text);
    });
  }
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 1, output: `${command}: ${error.message}` }));
    child.once('close', (code) => resolve({ code: code ?? 1, output: output.replace(COLOURS, '') }));
  });
}

/**
 * Runs one step. In CI a step that could not run is a failed one, unless `.ci/run` says in the end that it did not: else nobody reads it.
 *
 * @param {Step} step
 * @param {{ beside?: boolean, signal?: AbortSignal }} [options] `beside`: with what others leave of the processors, its output shown in the end
 * @returns {Promise<Counts & { ok: boolean }>}
 */
async function runStep(step, { beside = false, signal } = {}) {
  try {
    await step.ready?.();
  } catch (error) {
    process.stdout.write(`=== ${step.name}: FAILED: ${/** @type {Error} */ (error).message}\n`);
    return { passed: 0, failed: 1, ok: false };
  }
  if (signal?.aborted) return { passed: 0, failed: 0, ok: false };
  const heading = `\n=== ${step.name}: ${step.title}\n`;
  if (!beside) process.stdout.write(heading);
  const started = Date.now();
  const { code, output } = await show(step.command, step.args, { quiet: beside, niceness: beside ? 10 : 0, signal });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (signal?.aborted) return { passed: 0, failed: 0, ok: false };
  if (beside) process.stdout.write(`${heading}${output}`);

  const skipped = step.skipCode !== undefined && code === step.skipCode;
  const isSaid = skipped && noteNotChecked(`${step.title}: ${output.trim().split('\n').pop()}`);
  const ok = code === 0 || (skipped && (!process.env.CI || isSaid));
  const counts = skipped ? { passed: 0, failed: 0 } : (step.count?.(output) ?? { passed: ok ? 1 : 0, failed: 0 });
  // A step that broke before it counted anything has still failed.
  if (!ok && counts.failed === 0) counts.failed = 1;
  const word = skipped ? 'SKIPPED (it could not run here, see above)' : ok ? 'ok' : 'FAILED';
  process.stdout.write(`=== ${step.name}: ${word} in ${seconds} s\n`);
  return { ...counts, ok };
}

/**
 * Runs steps in order and stops at the first that fails.
 *
 * @param {Step[]} steps
 * @param {Parameters<typeof runStep>[1]} [options]
 * @returns {Promise<Counts & { ok: boolean }>} the sum
 */
async function runInOrder(steps, options) {
  const sum = { passed: 0, failed: 0, skipped: 0, ok: true };
  for (const step of steps) {
    const result = await runStep(step, options);
    sum.passed += result.passed;
    sum.failed += result.failed;
    sum.skipped += result.skipped ?? 0;
    sum.ok = result.ok;
    if (!sum.ok) break;
  }
  return sum;
}

/**
 * Runs the steps in order and stops at the first that fails. Those that only compute run in the time in which the others wait.
 *
 * @param {Step[]} steps
 * @returns {Promise<Counts & { ok: boolean }>} the sum
 */
async function runSteps(steps) {
  const stop = new AbortController();
  /** @param {Step[]} some @param {boolean} beside */
  const line = async (some, beside) => {
    const sum = await runInOrder(some, { beside, signal: stop.signal });
    if (!sum.ok) stop.abort();
    return sum;
  };
  const waiting = steps.filter(({ computes }) => !computes);
  const computing = steps.filter(({ computes }) => computes);
  const [one, other] = await Promise.all([line(waiting, false), line(computing, waiting.length > 0)]);
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: (one.skipped ?? 0) + (other.skipped ?? 0),
    ok: one.ok && other.ok,
  };
}

/**
 * The steps that were asked for by name, or all of them.
 *
 * @param {Step[]} steps
 * @param {string[]} names
 * @returns {Step[]}
 * @throws {Error} for a name that no step has
 */
function choose(steps, names) {
  const known = steps.map((step) => step.name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no step is called "${unknown[0]}"; there are: ${known.join(', ')}`);
  return names.length === 0 ? steps : steps.filter((step) => names.includes(step.name));
}

module.exports = { choose, runSteps, show };
