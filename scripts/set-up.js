'use strict';

// Brings a fresh clone to the point where all its checks can run: the tools, the native part, the process manager, the libraries of the tests.
//   node scripts/set-up.js

const { say } = require('./build-native.js');
const { setUp } = require('./lib/setup.js');

setUp({ manager: true, ecosystem: true }).catch((/** @type {Error} */ error) => {
  say(error.message);
  process.exitCode = 1;
});
