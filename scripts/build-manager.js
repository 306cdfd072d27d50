'use strict';

// Builds the manager's executable into `native/`, or does nothing when it is newer than its sources.
//   node scripts/build-manager.js

const { say } = require('./build-native.js');
const { cargoBuild, hasCargo } = require('./lib/cargo.js');
const { unpackSources } = require('./lib/packed_sources.js');
const { isUpToDate, place, root, rustVersion } = require('./lib/sources.js');
const path = require('node:path');
const { executable } = require('../manager/home.js');

/** What it is built from. */
const INPUTS = ['Cargo.toml', 'Cargo.lock', 'manager/Cargo.toml', 'manager/build.rs', 'manager/src', 'manager/web', 'src/board_layout.rs'];

/**
 * Makes sure that the executable is there and no older than its sources.
 *
 * @returns {Promise<string>} its path
 * @throws {Error} when cargo is missing or the build fails; the message is meant for the user
 */
async function buildManager() {
  if (process.platform !== 'linux') throw new Error(`the process manager runs on Linux, and this is ${process.platform}.`);
  const target = executable();
  if (isUpToDate(target, INPUTS)) return target;
  if (!hasCargo()) {
    throw new Error(`the manager has to be built here and cargo was not found: install Rust ${rustVersion()} or newer, then run this again.`);
  }
  return buildExecutable(target);
}

/**
 * @param {string} target where it is placed
 * @param {import('./lib/cargo.js').How} [how] for this machine by default
 * @returns {Promise<string>} `target`
 */
async function buildExecutable(target, how) {
  unpackSources();
  const started = new Date();
  say('building the process manager with cargo; the first build takes a minute or two');
  const built = await cargoBuild(say, { args: ['-p', 'rclusterd', '--bin', 'rclusterd'], name: 'rclusterd', file: /rclusterd$/ }, how);
  place(built, target, started);
  say(`built ${path.relative(root, target)} in ${Math.round((Date.now() - started.getTime()) / 1000)} s`);
  return target;
}

module.exports = { INPUTS, buildExecutable, buildManager };

if (require.main === module) {
  buildManager().catch((error) => {
    say(error.message);
    process.exitCode = 1;
  });
}
