'use strict';

// `npm run build`: makes what is missing or older than its sources, for this machine or for others.
//   node scripts/build.js                  the native part for this machine, and the bundle
//   node scripts/build.js --target arm64   the native part and the manager's executable as they are packed (x64, arm64)

const { parseArgs } = require('node:util');
const { buildNative, say } = require('./build-native.js');
const { makeBundle } = require('./bundle.js');
const { buildFor } = require('./lib/packing.js');
const { installTools } = require('./lib/setup.js');
const { knownArch } = require('./lib/targets.js');

async function main() {
  const { values } = parseArgs({ options: { target: { type: 'string', multiple: true } } });
  const arches = values.target?.map(knownArch);
  if (arches) for (const arch of arches) await buildFor(arch);
  else await buildNative();
  await installTools();
  makeBundle();
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
