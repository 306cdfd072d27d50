'use strict';

// Where workers load us from. The build makes one file of all that a worker loads (scripts/bundle.js), as each file costs
// every worker 0.3 ms. What people read and edit is here, in `lib/`: where that is not what the bundle was made of, workers load
// it from here.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'bundle');
/** What the bundle was made of: its sources' paths, with their sizes. */
const SOURCES = path.join(FOLDER, 'sources.json');
/** Only a checkout has it. In a package the times of files say nothing, as npm sets them. */
const MAKER = path.join(ROOT, 'scripts', 'bundle.js');

/**
 * The first source that is not what the bundle was made of, or why else there is none that can be used; `undefined` when it can.
 *
 * @returns {string | undefined}
 */
function whyNot() {
  try {
    const made = fs.existsSync(MAKER) ? fs.statSync(SOURCES).mtimeMs : Infinity;
    const isChanged = (/** @type {[string, number]} */ [file, length]) => {
      const { mtimeMs, size } = fs.statSync(path.join(ROOT, file));
      return size !== length || mtimeMs > made;
    };
    return Object.entries(JSON.parse(fs.readFileSync(SOURCES, 'utf8'))).find(isChanged)?.[0];
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

/** Once it has been found to be as it should. It is not looked at again then: workers of one primary are of one version. */
let isUsed = false;

/** The folder with the preloads of workers. */
function workersFolder() {
  isUsed ||= whyNot() === undefined;
  return isUsed ? FOLDER : __dirname;
}

module.exports = { FOLDER, ROOT, SOURCES, whyNot, workersFolder };
