'use strict';

// Where the manager keeps everything, and where its executable is.

const path = require('node:path');

/** @param {NodeJS.ProcessEnv} [env] */
function home(env = process.env) {
  return path.resolve(env.RCLUSTER_HOME || path.join(process.env.HOME || require('node:os').homedir(), '.rcluster'));
}

/** The executable, as `npm run build:manager` places it. */
function executable() {
  return path.join(__dirname, '..', 'native', `rclusterd.linux-${process.arch}-gnu`);
}

module.exports = { executable, home };
