'use strict';

// Brings a fresh clone to the point where its checks can begin: the tools, the native part, the libraries of the tests. The process manager, which
// takes longest to build, is built beside the first of them (test.js).
//   node scripts/set-up.js

const { say } = require('./build-native.js');
const { setUp } = require('./lib/setup.js');

setUp({ ecosystem: true }).catch((/** @type {Error} */ error) => {
  say(error.message);
  process.exitCode = 1;
});
