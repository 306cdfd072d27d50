'use strict';

// Builds the hostile worker, which cargo does only when something has changed.

const path = require('node:path');
const { spawnSync } = require('node:child_process');

const CRATE = path.join(__dirname, '..', '..', '..', '__test__', 'fixtures', 'hostile');

/** @returns {string} the path of the program */
function buildHostile() {
  const target = path.join(CRATE, 'target');
  const args = ['build', '--release', '--locked', '--quiet', '--manifest-path', path.join(CRATE, 'Cargo.toml')];
  const { status, error } = spawnSync('cargo', [...args, '--target-dir', target], { stdio: ['ignore', 2, 2] });
  if (error) throw new Error(`cargo builds the hostile worker: ${error.message}`);
  if (status !== 0) throw new Error('the hostile worker in __test__/fixtures/hostile does not build');
  return path.join(target, 'release', 'rcluster-hostile');
}

module.exports = { buildHostile };
