'use strict';

// `npm test`: sets up what is missing, then runs every kind of test in order, up to the first that fails; what only computes, beside what waits.
//   node scripts/test.js [rust] [rust-manager] [rust-bench] [rust-fuzz] [models] [jest] [types] [node-suite]

const fs = require('node:fs');
const path = require('node:path');
const { buildManager } = require('./build-manager.js');
const { say } = require('./build-native.js');
const { setUp } = require('./lib/setup.js');
const { root } = require('./lib/sources.js');
const { choose, runSteps } = require('./lib/steps.js');
const { buildHostile } = require('./soak/hostile/build.js');

/** @typedef {import('./lib/steps.js').Step} Step */

const TYPES = path.join('__test__', 'types');

/**
 * @param {string} file below node_modules
 * @returns {string} its path from the project's folder
 */
const tool = (file) => path.join('node_modules', file);

/** @type {NonNullable<Step['count']>} */
const cargoCounts = (output) => ({
  passed: sumOf(output, /^test result: .*?(\d+) passed/gm),
  failed: sumOf(output, /^test result: .*?(\d+) failed/gm),
  skipped: sumOf(output, /^test result: .*?(\d+) ignored/gm),
});

/** @type {Step[]} */
const steps = [
  {
    name: 'rust',
    title: 'unit and integration tests of the Rust core (cargo test)',
    command: 'cargo',
    args: ['test', '--locked'],
    count: cargoCounts,
  },
  {
    name: 'rust-manager',
    title: 'tests of the process manager (cargo test)',
    command: 'cargo',
    args: ['test', '--locked', '--package', 'rclusterd'],
    count: cargoCounts,
    computes: true,
  },
  {
    name: 'rust-bench',
    title: "tests of the benchmark's load generator (cargo test)",
    command: 'cargo',
    args: ['test', '--locked', '--manifest-path', path.join('bench', 'load', 'Cargo.toml')],
    count: cargoCounts,
    computes: true,
  },
  {
    name: 'rust-fuzz',
    title: 'the inputs of the fuzz targets that are kept, and a second of others (cargo test)',
    command: 'cargo',
    args: ['test', '--locked', '--no-default-features', '--manifest-path', path.join('fuzz', 'Cargo.toml')],
    count: cargoCounts,
    computes: true,
  },
  {
    name: 'models',
    title: 'the protocols without locks, in every order that is allowed (loom)',
    command: 'cargo',
    args: ['test', '--locked', '--manifest-path', path.join('models', 'Cargo.toml'), '--', '--nocapture'],
    count: cargoCounts,
    computes: true,
  },
  {
    name: 'jest',
    title: 'the package from JavaScript (jest)',
    command: process.execPath,
    args: [tool('jest/bin/jest.js')],
    // It is built beside the steps before: its end keeps one processor busy for a minute.
    ready: () => manager(),
    count: (output) => ({
      passed: sumOf(output, /^Tests:.*?(\d+) passed/gm),
      failed: sumOf(output, /^Tests:.*?(\d+) failed/gm),
      skipped: sumOf(output, /^Tests:.*?(\d+) skipped/gm),
    }),
  },
  {
    name: 'types',
    title: 'tests of index.d.ts (tsc)',
    command: process.execPath,
    args: [tool('typescript/bin/tsc'), '-p', TYPES],
    count: (output) => {
      const failed = new Set([...output.matchAll(/^(\S+\.[cm]?ts)[(:]\d+/gm)].map((match) => match[1])).size;
      return { passed: Math.max(0, typeTests() - failed), failed };
    },
  },
  {
    name: 'node-suite',
    title: "Node's own cluster tests",
    command: process.execPath,
    args: [path.join('__test__', 'node-suite', 'run.js')],
    skipCode: 77,
    count: (output) => ({
      passed: sumOf(output, /^node-suite:.*?(\d+) passed/gm),
      failed: sumOf(output, /^node-suite:.*?(\d+) failed/gm),
      skipped: sumOf(output, /^node-suite:.*?(\d+) skipped/gm),
    }),
  },
];

/** @type {Promise<string> | undefined} */
let building;
/** Builds the process manager, once. */
const manager = () => (building ??= buildManager());

/**
 * @param {string} text
 * @param {RegExp} pattern with a number as its first group
 * @returns {number} the sum over all matches
 */
function sumOf(text, pattern) {
  return [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1]), 0);
}

/** @returns {number} how many files the type tests have */
function typeTests() {
  const files = fs.readdirSync(path.join(root, TYPES), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /\.[cm]?ts$/.test(file)).length;
}

async function main() {
  const chosen = choose(steps, process.argv.slice(2));
  const jest = chosen.some(({ name }) => name === 'jest');
  await setUp({ ecosystem: jest });
  if (jest) {
    manager().catch(() => {}); // The step that waits for it tells.
    buildHostile();
  }
  const { passed, failed, skipped, ok } = await runSteps(chosen);
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
  process.exitCode = ok ? 0 : 1;
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
