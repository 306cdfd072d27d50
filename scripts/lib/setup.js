'use strict';

// Brings a fresh clone to the point where its checks can run.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { buildNative, say } = require('../build-native.js');
const { makeBundle } = require('../bundle.js');
const { root } = require('./sources.js');

/** The libraries that the ecosystem tests run: apart from the tools, so that `npm install` stays lean. */
const ECOSYSTEM = path.join(root, '__test__', 'ecosystem');

/**
 * @param {string} folder one with a package.json and its lock file
 * @returns {boolean} true when `npm ci` has not run since the lock file changed
 */
function modulesAreOld(folder) {
  const installed = path.join(folder, 'node_modules', '.package-lock.json');
  if (!fs.existsSync(installed)) return true;
  return fs.statSync(installed).mtimeMs < fs.statSync(path.join(folder, 'package-lock.json')).mtimeMs;
}

/**
 * Runs `npm ci` in a folder when its modules are missing or older than its lock file.
 *
 * @param {string} folder
 * @param {string} what is installed, in words
 * @returns {Promise<void>} rejects when npm fails
 */
async function installModules(folder, what) {
  if (!modulesAreOld(folder)) return;
  say(`installing ${what} (npm ci)`);
  // Our own install step would build the native part, which is built on its own, with progress shown.
  const npm = spawn('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(npm, 'close');
  if (code !== 0) throw new Error('npm ci failed, see above.');
  // npm leaves the file's time alone when nothing had to change.
  const now = new Date();
  fs.utimesSync(path.join(folder, 'node_modules', '.package-lock.json'), now, now);
}

/** Installs the tools (jest, eslint, typescript). */
function installTools() {
  return installModules(root, 'the development tools');
}

/**
 * Installs the libraries of the ecosystem tests. rcluster is not among them: a link to this checkout in their folder
 * would make npm remove what is installed here.
 */
function installEcosystem() {
  return installModules(ECOSYSTEM, 'the libraries of the ecosystem tests');
}

/**
 * Installs the tools, builds the native part, and makes the bundle.
 *
 * @param {{ ecosystem?: boolean }} [more] also the libraries of the ecosystem tests
 */
async function setUp({ ecosystem = false } = {}) {
  // npm waits for the network and the disk while cargo computes.
  await Promise.all([installTools(), ecosystem && installEcosystem(), buildNative()]);
  makeBundle();
}

module.exports = { installTools, setUp };
