'use strict';

// Egg's own cluster, with the least of a framework: it starts an agent (child_process.fork) and two workers (cfork),
// follows them by the events and properties of `cluster`, and passes messages between them.

const path = require('node:path');
const { startCluster } = require('egg-cluster');

startCluster({
  framework: path.join(__dirname, 'egg_framework'),
  baseDir: path.join(__dirname, 'egg_framework'),
  workers: 2,
  port: Number(process.env.PORT),
  sticky: process.env.STICKY === 'yes',
  env: 'prod',
}, () => console.log(`listening on ${process.env.PORT}`));
