'use strict';

// The real Node binaries of other versions and for other processors, as the registry's `node-<platform>-<arch>` packages carry them.
//   node __test__/node-suite/nodes.js 22 26   has them in the cache

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { CACHE } = require('./suite.js');

const LIMIT_MS = 300_000;

/**
 * Makes sure that the newest release of a major version is in the cache (about 100 MB each).
 *
 * @param {string} major such as `22`
 * @param {string} [arch] for this machine's processor by default
 * @returns {string} the path of its binary
 * @throws {Error} when npm cannot install it
 */
function nodeBinary(major, arch = process.arch) {
  const name = `node-${process.platform}-${arch}`;
  const folder = path.join(CACHE, 'nodes', arch === process.arch ? major : `${major}-${arch}`);
  const binary = path.join(folder, 'node_modules', name, 'bin', 'node');
  if (fs.existsSync(binary)) return binary;

  console.error(`node-suite: downloading Node ${major} (${name}, 100 MB)`);
  fs.mkdirSync(folder, { recursive: true });
  // Without a manifest of its own npm would install into the project above it.
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  // One for another processor is installed against npm's advice.
  const args = ['install', ...(arch === process.arch ? [] : ['--force']), '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${major}`];
  const { status, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', timeout: LIMIT_MS });
  if (status !== 0 || !fs.existsSync(binary)) {
    throw new Error(`npm could not install ${name}@${major}: ${stderr?.trim().split('\n').pop() || 'no output'}`);
  }
  return binary;
}

module.exports = { nodeBinary };

if (require.main === module) for (const major of process.argv.slice(2)) nodeBinary(major);
