'use strict';

// The native part, loaded once.

const { existsSync } = require('node:fs');

const environment = require('./environment.js');

/** @typedef {import('./native-types').Native} Native */

/** @type {Native | undefined} */
let native;

/**
 * Why the native part cannot be used in this process; `undefined` when it can.
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
  if (!existsSync(binary)) return `the native part is missing (${binary}): run "npm rebuild rcluster"`;
  try {
    native = require(binary);
    return undefined;
  } catch (error) {
    return `the native part does not load: ${/** @type {Error} */ (error).message}`;
  }
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
