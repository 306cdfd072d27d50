'use strict';

// npm's "prepack" step: all that a tarball carries and that git does not. It says for whom there are binaries, and for whom not.
//   node scripts/pack.js

const { say } = require('./build-native.js');
const { makeBundle } = require('./bundle.js');
const { packSources } = require('./lib/packed_sources.js');
const { buildAll } = require('./lib/packing.js');
const { installTools } = require('./lib/setup.js');

async function main() {
  await buildAll();
  await installTools();
  makeBundle();
  packSources();
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
