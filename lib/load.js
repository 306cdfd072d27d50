'use strict';

// What `require('rcluster')` loads. In a worker all is done by then, by its preload; in a primary it is done now.

/** The built-in module if it has been taken over already, found without loading anything else. @returns {any} */
function takenOver() {
  // A worker whose preload has not run must not load the module as a primary does.
  if (process.env.RCLUSTER_WORKER !== undefined) return undefined;
  const cluster = require('node:cluster');
  return Object.hasOwn(cluster, 'rcluster') ? cluster : undefined;
}

module.exports = takenOver() ?? require('./which_side.js');
