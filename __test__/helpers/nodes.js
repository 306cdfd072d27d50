'use strict';

// Other Nodes that tests can start: those that `.ci/run` and the matrix have in the cache.

const fs = require('node:fs');
const path = require('node:path');

const CACHE = path.join(__dirname, '..', '..', '.cache', 'nodes');

/** @param {number[]} majors @returns {string[]} the paths of those of these major versions that are there */
function cachedNodes(majors) {
  return majors.map((major) => path.join(CACHE, String(major), 'node_modules', `node-linux-${process.arch}`, 'bin', 'node')).filter((file) => fs.existsSync(file));
}

module.exports = { cachedNodes };
