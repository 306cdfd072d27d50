'use strict';

// What `require('rcluster')` loads. In a worker all is done by then, by its preload; in a primary it is done now.

/** The built-in module if it has been taken over already, found without loading anything else. @returns {any} */
function takenOver() {
  // A worker whose preload has not run must not load the module as a primary does.
  if (process.env.RCLUSTER_WORKER !== undefined) return undefined;
  const cluster = require('node:cluster');
  return Object.hasOwn(cluster, 'rcluster') ? cluster : undefined;
}

/** @returns {any} */
function takeOver() {
  const { FOLDER, folder, requireOurs } = require('./bundle.js');
  const isWorker = process.env.RCLUSTER_WORKER !== undefined;
  if (!isWorker && folder() === FOLDER) return requireOurs('which_side.js');
  // By its name, so that tools find it that make one file of a program.
  return require('./which_side.js');
}

module.exports = takenOver() ?? takeOver();
