'use strict';

// The command `rcluster`.

const path = require('node:path');
const { ROOT, startScript } = require('./run');

const COMMAND = path.join(ROOT, 'bin', 'rcluster.js');

/**
 * Starts the command. It, and its workers, are killed after the test.
 *
 * @param {string[]} args
 * @param {import('./run').ScriptOptions} [options]
 */
function startCommand(args, options = {}) {
  return startScript(COMMAND, { ...options, args });
}

module.exports = { COMMAND, startCommand };
