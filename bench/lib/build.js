'use strict';

/** Builds the load generator, the floor and the program that says when it begins, which cargo does only when something has changed. */

const path = require('node:path');
const { spawnSync } = require('node:child_process');

const CRATE = path.join(__dirname, '../load');

/** @returns {{ load: string, floor: string, begin: string }} their paths */
function build() {
  const args = ['build', '--release', '--locked', '--quiet', '--manifest-path', path.join(CRATE, 'Cargo.toml')];
  const target = path.join(CRATE, 'target');
  const { status, error } = spawnSync('cargo', [...args, '--target-dir', target], { stdio: ['ignore', 2, 2] });
  if (error) throw new Error(`the benchmarks need cargo to build their load generator: ${error.message}`);
  if (status !== 0) throw new Error('the load generator in bench/load does not build');
  return { load: path.join(target, 'release/load'), floor: path.join(target, 'release/floor'), begin: path.join(target, 'release/begin') };
}

module.exports = { build };
