'use strict';

// Preloaded into every process of an app, after rcluster: says which module it got, so that no test passes for the
// wrong reason.

const cluster = require('node:cluster');

const { rcluster } = cluster;
const name = rcluster ? (rcluster.native ? 'rcluster' : `built-in, as ${rcluster.reason}`) : 'built-in';
console.log(`cluster module: ${cluster.isPrimary ? 'primary' : 'worker'} ${process.pid}: ${name}`);
