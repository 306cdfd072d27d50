'use strict';

// `npm start`: builds the native part when needed, then becomes examples/http.js. The example runs in this very
// process, so that Ctrl-C and SIGTERM reach it and nothing stands between it and the terminal.

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { buildNative, say } = require('./build-native.js');
const { makeBundle } = require('./bundle.js');

const root = path.join(__dirname, '..');
const example = path.join(root, 'examples', 'http.js');
/** The bundle is made with it; without one, workers load the files that it is made of. */
const tool = path.join(root, 'node_modules', 'typescript');

async function main() {
  if (!fs.existsSync(example)) throw new Error(`${example} is missing.`);
  await buildNative();
  if (fs.existsSync(tool)) makeBundle();
  // `cluster` forks whatever argv[1] names, and `require.main` has to be the example: run it as Node would.
  process.argv[1] = example;
  Module.runMain();
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
