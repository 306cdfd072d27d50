'use strict';

// npm's "install" step. A binary that loads in this Node is used as it is; otherwise the native part is built
// from the sources in the package. Needs nothing but Node, and cargo when it builds.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { binaryPath } = require('../lib/binary-name.js');
const { buildNative, say } = require('./build-native.js');

// The native part is Linux's; everywhere else rcluster leaves Node's own module as it is, and says so in
// `cluster.rcluster`, so there is nothing to install and nothing to complain about.
const hasNativePart = process.platform === 'linux';

/** Gives the loader's words as they are: they say which glibc is missing. */
const TRY = 'try { require(process.argv[1]) } catch (error) { process.stdout.write(error.message); process.exitCode = 1 }';

/**
 * Whether this Node can load the binary; tried in a child, as a wrong one may crash.
 *
 * @returns {string | undefined} why not; `undefined` when it can
 */
function whyNot() {
  const { status, signal, stdout } = spawnSync(process.execPath, ['-e', TRY, binaryPath()], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return status === 0 ? undefined : stdout.split('\n')[0] || `it ended with ${signal ?? status}`;
}

async function main() {
  if (!hasNativePart) return;
  const packed = fs.existsSync(binaryPath());
  const why = packed ? whyNot() : undefined;
  if (packed && why === undefined) return;
  if (why) say(`the binary of the package cannot be used here: ${why}`);
  await buildNative({ force: true });
  const still = whyNot();
  if (still) throw new Error(`the native part was built, but Node ${process.version} cannot load ${binaryPath()}: ${still}`);
}

main().catch((error) => {
  say(error.message);
  process.exitCode = 1;
});
