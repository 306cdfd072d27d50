'use strict';

// Builds the native part into `native/`, or does nothing when it is newer than its sources.
//   node scripts/build-native.js
// Progress goes to standard error: `npm pack --json` owns standard output.

const path = require('node:path');
const { binaryPath, thisProcess } = require('../lib/binary-name.js');
const { cargoBuild, hasCargo } = require('./lib/cargo.js');
const { unpackSources } = require('./lib/packed_sources.js');
const { isUpToDate, place, root, rustVersion } = require('./lib/sources.js');

/** @param {string} line */
const say = (line) => void process.stderr.write(`rcluster: ${line}\n`);

/** @returns {string} the sentence for a machine without cargo */
function cargoMissing() {
  const [why, how] = thisProcess().libc === 'musl'
    ? ['the package has no binary for a Node that was built with musl: the native part', 'on Alpine "apk add cargo gcc musl-dev"']
    : ['the native part', 'for example with rustup and your system\'s gcc package'];
  return `${why} has to be built here and cargo was not found: install Rust ${rustVersion()} or newer together with a C linker (${how}), then run this again.`;
}

/**
 * Makes sure that the native part is there and no older than its sources.
 *
 * @param {{ force?: boolean }} [options] `force`: build although the binary is newer than its sources
 * @returns {Promise<string>} the path of the binary
 * @throws {Error} when cargo is missing or the build fails; the message is meant for the user
 */
async function buildNative({ force = false } = {}) {
  const target = binaryPath();
  if (!force && isUpToDate(target)) return target;
  if (!hasCargo()) throw new Error(cargoMissing());
  return buildLibrary(target);
}

/**
 * @param {string} target where it is placed
 * @param {import('./lib/cargo.js').How} [how] for this machine by default
 * @returns {Promise<string>} `target`
 */
async function buildLibrary(target, how) {
  unpackSources();
  const started = new Date();
  say('building the native part with cargo; the first build takes about a minute');
  const library = await cargoBuild(say, undefined, how);
  place(library, target, started);
  const seconds = Math.round((Date.now() - started.getTime()) / 1000);
  say(`built ${path.relative(root, target)} in ${seconds} s`);
  return target;
}

module.exports = { buildLibrary, buildNative, say };

if (require.main === module) {
  buildNative().catch((error) => {
    say(error.message);
    process.exitCode = 1;
  });
}
