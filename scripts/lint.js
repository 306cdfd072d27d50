'use strict';

// `npm run lint`: format, lints and types, without a word of tolerance for warnings.
//   node scripts/lint.js [rustfmt] [clippy] [rustfmt-bench] [clippy-bench] [rustfmt-hostile]
//     [clippy-hostile] [rustfmt-fuzz] [clippy-fuzz] [rustfmt-models] [clippy-models] [native-types] [eslint] [tsc] [tsc-web]

const path = require('node:path');
const { say } = require('./build-native.js');
const { installTools } = require('./lib/setup.js');
const { choose, runSteps } = require('./lib/steps.js');

const LOAD = path.join('bench', 'load', 'Cargo.toml');
const HOSTILE = path.join('__test__', 'fixtures', 'hostile', 'Cargo.toml');
const FUZZ = path.join('fuzz', 'Cargo.toml');
const MODELS = path.join('models', 'Cargo.toml');

/** @type {import('./lib/steps.js').Step[]} */
const steps = [
  {
    name: 'rustfmt',
    title: 'the format of the Rust code (cargo fmt --check)',
    command: 'cargo',
    args: ['fmt', '--check', '--all'],
  },
  {
    name: 'clippy',
    title: 'lints of the Rust code (cargo clippy)',
    command: 'cargo',
    args: ['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings'],
  },
  {
    name: 'rustfmt-bench',
    title: "the same of the benchmark's load generator",
    command: 'cargo',
    args: ['fmt', '--check', '--manifest-path', LOAD],
  },
  {
    name: 'clippy-bench',
    title: "the same of the benchmark's load generator",
    command: 'cargo',
    args: ['clippy', '--locked', '--all-targets', '--manifest-path', LOAD, '--', '-D', 'warnings'],
  },
  {
    name: 'rustfmt-hostile',
    title: 'the same of the hostile worker of the tests',
    command: 'cargo',
    args: ['fmt', '--check', '--manifest-path', HOSTILE],
  },
  {
    name: 'clippy-hostile',
    title: 'the same of the hostile worker of the tests',
    command: 'cargo',
    args: ['clippy', '--locked', '--all-targets', '--manifest-path', HOSTILE, '--', '-D', 'warnings'],
  },
  {
    name: 'rustfmt-fuzz',
    title: 'the same of what the fuzz targets do',
    command: 'cargo',
    args: ['fmt', '--check', '--manifest-path', FUZZ],
  },
  {
    name: 'clippy-fuzz',
    title: 'the same of what the fuzz targets do',
    command: 'cargo',
    args: ['clippy', '--locked', '--all-targets', '--no-default-features', '--manifest-path', FUZZ, '--', '-D', 'warnings'],
  },
  {
    name: 'rustfmt-models',
    title: 'the same of the models',
    command: 'cargo',
    args: ['fmt', '--check', '--manifest-path', MODELS],
  },
  {
    name: 'clippy-models',
    title: 'the same of the models',
    command: 'cargo',
    // Not the board's own tests, which want the real words.
    args: ['clippy', '--locked', '--lib', '--test', 'board', '--manifest-path', MODELS, '--', '-D', 'warnings'],
  },
  {
    name: 'native-types',
    title: 'lib/native-types.d.ts is what the Rust code has (node scripts/native-types.js --write)',
    command: process.execPath,
    args: [path.join('scripts', 'native-types.js')],
  },
  {
    name: 'eslint',
    title: 'lints of the JavaScript code (eslint)',
    command: process.execPath,
    args: [path.join('node_modules', 'eslint', 'bin', 'eslint.js'), '--max-warnings', '0', '.'],
  },
  {
    name: 'tsc',
    title: 'types of the JavaScript code (tsc --checkJs)',
    command: process.execPath,
    args: [path.join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'],
  },
  {
    name: 'tsc-web',
    title: "types of the page's code",
    command: process.execPath,
    args: [path.join('node_modules', 'typescript', 'bin', 'tsc'), '-p', path.join('manager', 'web')],
  },
];

async function main() {
  const chosen = choose(steps, process.argv.slice(2));
  await installTools();
  const { passed, failed, ok } = await runSteps(chosen);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  process.exitCode = ok ? 0 : 1;
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
