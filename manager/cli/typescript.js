'use strict';

// TypeScript, which some Nodes run by themselves and others do not: those end at once, again and again.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** @typedef {{ script: string, interpreter?: string, interpreterArgs?: string[], env?: Record<string, string> }} App */

/**
 * Refuses an app of TypeScript that Node would be given and cannot run. Whoever names an interpreter or its options knows better.
 *
 * @param {App} app
 */
function checkTypeScript({ script, interpreter, interpreterArgs = [], env = {} }) {
  if (interpreter !== undefined || interpreterArgs.length > 0 || env.NODE_OPTIONS) return;
  const node = nodeOf(env.PATH ?? '');
  if (!node || (runsTypeScript(node) && !script.endsWith('x'))) return;
  throw new Error(`"${script}" is TypeScript, which ${node} does not run by itself${script.endsWith('x') ? '' : ' (Node 22.18 and newer do)'}: --interpreter tsx (or bun), or --node-args="--import tsx"`);
}

/** @param {string} places */
function nodeOf(places) {
  return places.split(':').map((folder) => path.join(folder, 'node')).find((file) => {
    try {
      fs.accessSync(file, fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {string} node */
function runsTypeScript(node) {
  if (fs.realpathSync(node) === fs.realpathSync(process.execPath)) return Boolean(/** @type {any} */ (process.features).typescript);
  return /^(?:strip|transform)/.test(spawnSync(node, ['-p', 'process.features.typescript'], { encoding: 'utf8' }).stdout ?? '');
}

module.exports = { checkTypeScript };
