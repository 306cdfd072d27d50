'use strict';

// `npm start`: builds the native part when needed, then becomes examples/http.js. The example runs in this very
// process, so that Ctrl-C and SIGTERM reach it and nothing stands between it and the terminal.

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { buildNative, say } = require('./build-native.js');

const example = path.join(__dirname, '..', 'examples', 'http.js');

async function main() {
  if (!fs.existsSync(example)) throw new Error(`${example} is missing.`);
  await buildNative();
  // `cluster` forks whatever argv[1] names, and `require.main` has to be the example: run it as Node would.
  process.argv[1] = example;
  Module.runMain();
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
