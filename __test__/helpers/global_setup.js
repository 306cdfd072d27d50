'use strict';

// Before all tests: a folder that tells what belongs to this run (leftovers.js).

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { RUN } = require('./leftovers');

module.exports = () => {
  process.env[RUN] = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-run-'));
};
