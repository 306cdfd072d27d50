'use strict';

// Where the manager keeps everything, and where its executable is.

const path = require('node:path');

/** @param {NodeJS.ProcessEnv} [env] */
function home(env = process.env) {
  return path.resolve(env.RCLUSTER_HOME || path.join(process.env.HOME || require('node:os').homedir(), '.rcluster'));
}

/** The executable, as it is packed, or as `npm run build:manager` places it. */
const executable = () => require('../lib/binary-name.js').managerPath();

module.exports = { executable, home };
