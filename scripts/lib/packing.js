'use strict';

// The native files as they are packed: for each target the native part and the manager's executable.

const fs = require('node:fs');
const path = require('node:path');
const { INPUTS, buildExecutable } = require('../build-manager.js');
const { buildLibrary, say } = require('../build-native.js');
const { glibcOf, needs } = require('./elf.js');
const { isUpToDate } = require('./sources.js');
const { ARCHES, fileNames, toolchain, unfit } = require('./targets.js');

/**
 * @param {string} arch
 * @param {{ anyGlibc: boolean }} options
 * @returns {{ library: boolean, manager: boolean }} which of its files are newer than their sources, and as they are to be packed
 */
function ready(arch, options) {
  const { library, manager } = fileNames(arch);
  const fits = (/** @type {string} */ file) => unfit(file, arch, options) === undefined;
  return { library: isUpToDate(library) && fits(library), manager: isUpToDate(manager, INPUTS) && fits(manager) };
}

/**
 * Makes sure that both files for a target are there, as they are to be packed.
 *
 * @param {string} arch
 * @throws {Error} when something to build them with is missing, or the build fails
 */
async function buildFor(arch) {
  const how = toolchain(arch);
  const files = fileNames(arch);
  const { library, manager } = ready(arch, how);
  if (!library) await buildLibrary(files.library, how);
  if (!manager) await buildExecutable(files.manager, how);
  for (const file of Object.values(files)) {
    const why = unfit(file, arch, how);
    if (why) throw new Error(`${path.basename(file)} cannot be packed: ${why}.`);
  }
}

/**
 * The same for all targets that this machine can build. Those that it cannot are left out of the package, unless they are there,
 * from a machine that can. With `RCLUSTER_PACK=x64` no others are built, which takes minutes.
 *
 * @throws {Error} when this machine's own cannot be built, or any build fails
 */
async function buildAll() {
  const wanted = process.env.RCLUSTER_PACK;
  if (wanted !== undefined && !ARCHES.includes(wanted)) throw new Error(`RCLUSTER_PACK must be one of ${ARCHES.join(', ')}. Received ${wanted}`);
  for (const arch of ARCHES) {
    const files = Object.values(fileNames(arch));
    if (!Object.values(ready(arch, { anyGlibc: true })).every(Boolean)) {
      const why = wanted && arch !== wanted ? `RCLUSTER_PACK=${wanted}` : missing(arch);
      if (why && arch === process.arch) throw new Error(why);
      if (why) {
        say(`${arch} is left out: ${why}`);
        for (const file of files) fs.rmSync(file, { force: true });
        continue;
      }
      await buildFor(arch);
    }
    say(`${arch} is packed; its two files ask for glibc ${files.map((file) => glibcOf(needs(file))).join(' and ')}`);
  }
}

/**
 * @param {string} arch
 * @returns {string | undefined} why this machine cannot build for it
 */
function missing(arch) {
  try {
    toolchain(arch);
    return undefined;
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

module.exports = { buildAll, buildFor, missing };
