'use strict';

// The native part, loaded once.

const { existsSync } = require('node:fs');
const path = require('node:path');

const environment = require('./environment.js');
const { INTERFACE } = require('./native_interface.js');

const MISMATCH = 'ERR_RCLUSTER_VERSION';

/** @typedef {import('./native-types').Native} Native */

/** @type {Native | undefined} */
let native;

/**
 * Why the native part cannot be used in this process; `undefined` when it can. Throws `ERR_RCLUSTER_VERSION` for one of another version.
 *
 * @returns {string | undefined}
 */
function unusable() {
  if (native) return undefined;
  if (process.platform !== 'linux') return `there is no native part for ${process.platform}`;
  const binary = binaryFile();
  if (!environment.binaryFile() && !existsSync(environment.PRELOAD)) {
    return `rcluster is part of a bundle, without its other files (${environment.PRELOAD}): leave it out of the bundle (external)`;
  }
  if (!existsSync(binary)) return missing(binary);
  try {
    native = checked(require(binary), binary);
    return undefined;
  } catch (error) {
    if (/** @type {any} */ (error).code === MISMATCH) throw error;
    return `the native part does not load: ${/** @type {Error} */ (error).message}`;
  }
}

/**
 * By itself, as package managers would do it in vain: npm 12 and pnpm run no install script that nobody has approved, and say that all went well.
 *
 * @param {string} binary
 */
function missing(binary) {
  return `the native part is missing (${binary}): run: node "${path.join(__dirname, '..', 'scripts', 'install.js')}"`;
}

/**
 * The native part, if it is the one that these files were written for: else something would be missing, or mean something else, much later.
 *
 * @param {Native} loaded
 * @param {string} binary
 */
function checked(loaded, binary) {
  // One of before this was asked for does not have it.
  if (loaded.interfaceVersion?.() === INTERFACE) return loaded;
  const text = `the native part (${binary}) and the files of rcluster are of different versions: run "npm run build" in a checkout, or install rcluster anew`;
  throw require('./errors.js').ours(MISMATCH, text);
}

/** @type {string | undefined} */
let file;

/** Where the native part is, or should be. */
function binaryFile() {
  return (file ??= environment.binaryFile() ?? require('./binary-name.js').binaryPath());
}

/**
 * The native part. Throws when {@link unusable} says that it cannot be used.
 *
 * @returns {Native}
 */
function load() {
  const reason = unusable();
  if (!native) throw new Error(reason);
  return native;
}

module.exports = { binaryFile, load, unusable };
