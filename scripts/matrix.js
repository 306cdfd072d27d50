'use strict';

// Runs jest tests with the real Node 20, 22, 24 and 26: by default those that compare with Node's own module, and those
// of real libraries.
//   node scripts/matrix.js [--nodes 22,26] [pattern of a test's path ...]

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { nodeBinary } = require('../__test__/node-suite/nodes.js');
const { say } = require('./build-native.js');
const { setUp } = require('./lib/setup.js');
const { root } = require('./lib/sources.js');

const JEST = path.join('node_modules', 'jest', 'bin', 'jest.js');
/** Not the examples of deploying: they are about other programs than Node. */
const PATTERNS = ['__test__/node/', '__test__/fidelity/', '__test__/ecosystem/(?!deploy_)'];

/**
 * @param {string} major such as `22`
 * @param {string[]} patterns
 * @returns {{ version: string, ok: boolean, tests: string, seconds: number }}
 */
function runWith(major, patterns) {
  const node = nodeBinary(major);
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  process.stdout.write(`\n=== Node ${version}\n`);
  const started = Date.now();
  const { status, stdout, stderr } = spawnSync(node, [JEST, ...patterns], { cwd: root, encoding: 'utf8' });
  const ok = status === 0;
  // Of those that pass, their names will do.
  const shown = ok ? stderr.split('\n').filter((line) => /^(PASS|Tests:|not checked here:)/.test(line)) : [stdout, stderr];
  process.stdout.write(`${shown.join('\n')}\n`);
  const tests = /^Tests:\s*(.*)$/m.exec(stderr)?.[1] ?? 'none ran';
  return { version, ok, tests, seconds: Math.round((Date.now() - started) / 1000) };
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { nodes: { type: 'string', default: '20,22,24,26' } },
    allowPositionals: true,
  });
  await setUp({ ecosystem: true });
  const patterns = positionals.length > 0 ? positionals : PATTERNS;
  const runs = values.nodes.split(',').map((major) => runWith(major.trim(), patterns));
  process.stdout.write('\n');
  for (const { version, ok, tests, seconds } of runs) {
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${version.padEnd(10)} ${tests} in ${seconds} s\n`);
  }
  process.exitCode = runs.every(({ ok }) => ok) ? 0 : 1;
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
