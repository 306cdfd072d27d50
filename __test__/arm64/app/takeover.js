'use strict';

// The built-in module is taken over in place, in CommonJS and in ES modules; the binary is the one that was packed.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');

const cluster = require('rcluster');

assert.equal(cluster, require('node:cluster'));
assert.deepEqual(cluster.rcluster, { native: true, version: require('rcluster/package.json').version });
assert.ok(fs.readFileSync('/proc/self/maps', 'utf8').includes(`/rcluster.linux-${process.arch}-gnu.node`));

const esm = "import cluster, { fork } from 'rcluster'; import builtin from 'node:cluster'; console.log(cluster === builtin, typeof fork, cluster.rcluster.native)";
assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', esm], { encoding: 'utf8' }), 'true function true\n');
