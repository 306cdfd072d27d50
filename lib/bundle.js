'use strict';

// Where processes load us from. The build makes one file of all that a worker loads, and one of all that a primary does
// (scripts/bundle.js): each file costs a process 0.3 ms, and forty are enough for V8 to optimize Node's loader, which takes 4 MB. What
// people read and edit is here, in `lib/`: where that is not what the bundle was made of, it is loaded from here.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'bundle');

/**
 * @typedef {object} Bundle
 * @property {string} sources The list of what it was made of: paths, with their sizes.
 * @property {string[]} makers Only a checkout has them. In a package the times of files say nothing, as npm sets them.
 */

const MAKER = path.join(ROOT, 'scripts', 'bundle.js');
/** What workers and primaries load. @type {Bundle} */
const CLUSTER = { sources: path.join(FOLDER, 'sources.json'), makers: [MAKER, path.join(ROOT, 'scripts', 'lib', 'bundling.js')] };
/** What the command loads to ask the process manager. @type {Bundle} */
const COMMAND = { sources: path.join(FOLDER, 'command.json'), makers: [...CLUSTER.makers, path.join(ROOT, 'scripts', 'lib', 'command_bundle.js')] };
/** These files are never in a bundle. */
const OUTSIDE = new Set([__filename, path.join(__dirname, 'load.js')]);

/**
 * The first source that is not what the bundle was made of, or why else there is none that can be used; `undefined` when it can.
 *
 * @param {Bundle} bundle
 * @returns {string | undefined}
 */
function whyNot({ sources, makers }) {
  try {
    const made = fs.existsSync(MAKER) ? fs.statSync(sources).mtimeMs : Infinity;
    const maker = made === Infinity ? undefined : makers.find((file) => fs.statSync(file).mtimeMs > made);
    if (maker !== undefined) return path.relative(ROOT, maker);
    const isChanged = (/** @type {[string, number]} */ [file, length]) => {
      // Not by `path.join`: eighty times, and V8 would optimize it.
      const { mtimeMs, size } = fs.statSync(`${ROOT}/${file}`);
      return size !== length || mtimeMs > made;
    };
    return Object.entries(JSON.parse(fs.readFileSync(sources, 'utf8'))).find(isChanged)?.[0];
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

/** Whether something of `lib/` has been loaded from there, by a test, say: there must be no second one. */
function isLoadedFromLib() {
  return Object.keys(require.cache).some((file) => file.startsWith(`${__dirname}/`) && !OUTSIDE.has(file));
}

/** @type {string | undefined} */
let found;

/** Where we are loaded from. Decided once, as the workers of a primary are of one version, and it is of theirs. */
function folder() {
  return (found ??= isLoadedFromLib() || whyNot(CLUSTER) !== undefined ? __dirname : FOLDER);
}

/**
 * One of our modules, in a process that is no worker.
 *
 * @param {string} name Its path below lib/.
 * @returns {any}
 */
function requireOurs(name) {
  if (folder() !== FOLDER) return require(`./${name}`);
  // Threads of a worker have what it loaded first.
  const preload = require.cache[`${FOLDER}/preload.js`];
  return (preload ? preload.exports : require(`${FOLDER}/primary.js`)).requireOurs(name);
}

/**
 * A module of the command's, which asks the process manager.
 *
 * @param {string} name Its path below manager/.
 * @returns {any}
 */
function requireOfCommand(name) {
  if (whyNot(COMMAND) !== undefined) return require(`../manager/${name}`);
  return require(`${FOLDER}/command.js`).requireOurs(name);
}

module.exports = { CLUSTER, COMMAND, FOLDER, ROOT, folder, requireOfCommand, requireOurs, whyNot };
