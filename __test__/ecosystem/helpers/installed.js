'use strict';

const fs = require('node:fs');
const path = require('node:path');

/** Fails early, and says what to do, where the libraries are missing. */
function setupOnce() {
  if (!fs.existsSync(path.join(__dirname, '..', 'node_modules'))) {
    throw new Error('The libraries of the ecosystem tests are not installed: "npm run test:jest" does it.');
  }
}

module.exports = { setupOnce };
