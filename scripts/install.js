'use strict';

// npm's "install" step. A binary that loads in this Node is used as it is; otherwise the native part is built
// from the sources in the package. Needs nothing but Node, and cargo when it builds.

const { spawnSync } = require('node:child_process');
const { binaryPath } = require('../lib/binary-name.js');
const { buildNative, say } = require('./build-native.js');

// The native part is Linux's; everywhere else rcluster leaves Node's own module as it is, and says so in
// `cluster.rcluster`, so there is nothing to install and nothing to complain about.
const hasNativePart = process.platform === 'linux';

/** @returns {boolean} true when the binary is there and this Node can load it; tried in a child, as a wrong one may crash */
function loads() {
  return spawnSync(process.execPath, ['-e', 'require(process.argv[1])', binaryPath()], {
    stdio: 'ignore',
    env: { ...process.env, NODE_OPTIONS: '' },
  }).status === 0;
}

async function main() {
  if (!hasNativePart || loads()) return;
  await buildNative({ force: true });
  if (!loads()) throw new Error(`the native part was built, but Node ${process.version} cannot load ${binaryPath()}.`);
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
