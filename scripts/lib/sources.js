'use strict';

// What the native part is built from, and whether it is newer than the binary.

const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..', '..');
const inputs = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'lib/native_interface.js'];

/**
 * The latest modification time below a file or folder. Folders count too: a deleted file changes only them.
 *
 * @param {string} file
 * @returns {number} milliseconds since the epoch
 */
function newestMtime(file) {
  const stat = fs.statSync(file);
  if (!stat.isDirectory()) return stat.mtimeMs;
  const inside = fs.readdirSync(file).map((name) => newestMtime(path.join(file, name)));
  return Math.max(stat.mtimeMs, ...inside);
}

/**
 * @param {string} binary path of what was built
 * @param {string[]} [from] the files and folders that it is built from; the native part's by default
 * @returns {boolean} true when the binary exists and no source has changed since it was built
 */
function isUpToDate(binary, from = inputs) {
  if (!fs.existsSync(binary)) return false;
  const built = fs.statSync(binary).mtimeMs;
  // In a package the sources may be packed still (packed_sources.js): nobody has edited them.
  return from.map((input) => path.join(root, input)).every((input) => !fs.existsSync(input) || newestMtime(input) <= built);
}

/**
 * The oldest Rust that the manifest allows, such as `1.88`.
 *
 * @returns {string}
 */
function rustVersion() {
  const manifest = fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8');
  return /^rust-version\s*=\s*"([^"]+)"/m.exec(manifest)?.[1] ?? '1.88';
}

/**
 * Copies under another name first, so that no process ever loads half a file and those that have the old
 * one mapped keep it. The time is the build's start: a source saved meanwhile is newer.
 *
 * @param {string} library
 * @param {string} target
 * @param {Date} started
 */
function place(library, target, started) {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  fs.copyFileSync(library, temporary);
  fs.utimesSync(temporary, started, started);
  fs.renameSync(temporary, target);
}

module.exports = { root, isUpToDate, place, rustVersion };
