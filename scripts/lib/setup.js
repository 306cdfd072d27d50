'use strict';

// Brings a fresh clone to the point where its checks can run.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { buildNative, say } = require('../build-native.js');
const { root } = require('./sources.js');

/** @returns {boolean} true when `npm ci` has not run since the lock file changed */
function modulesAreOld() {
  const installed = path.join(root, 'node_modules', '.package-lock.json');
  if (!fs.existsSync(installed)) return true;
  return fs.statSync(installed).mtimeMs < fs.statSync(path.join(root, 'package-lock.json')).mtimeMs;
}

/**
 * Installs the tools (jest, eslint, typescript) when they are missing or older than the lock file.
 *
 * @throws {Error} when npm fails
 */
function installTools() {
  if (!modulesAreOld()) return;
  say('installing the development tools (npm ci)');
  // Our own install step would build the native part, which is built on its own, with progress shown.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error('npm ci failed, see above.');
  // npm leaves the file's time alone when nothing had to change.
  const now = new Date();
  fs.utimesSync(path.join(root, 'node_modules', '.package-lock.json'), now, now);
}

/** Installs the tools and builds the native part. */
async function setUp() {
  installTools();
  await buildNative();
}

module.exports = { installTools, setUp };
