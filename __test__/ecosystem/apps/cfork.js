'use strict';

// As in the README of cfork.

const cluster = require('node:cluster');
const cfork = require('cfork').fork;

const say = (...parts) => console.log(JSON.stringify(parts));

cfork({
  exec: require.resolve('./cfork_worker.js'),
  args: ['from', 'cfork'],
  count: 2,
  limit: 4,
  duration: 60_000,
  env: { FROM_PRIMARY: 'yes' },
})
  .on('fork', (worker) => say('fork', worker.process.pid))
  .on('listening', (worker) => say('listening', worker.process.pid))
  .on('disconnect', (worker) => say('disconnect', worker.process.pid, worker.exitedAfterDisconnect, worker.state))
  .on('exit', (worker, code, signal) => say('exit', worker.process.pid, code, signal, worker.exitedAfterDisconnect))
  .on('unexpectedExit', (worker, code, signal) => say('unexpectedExit', worker.process.pid, code, signal))
  .on('reachReforkLimit', () => say('reachReforkLimit', Object.keys(cluster.workers).length));
require('../helpers/announce')(cluster, 2);

process.on('SIGUSR2', () => {
  // Egg does so before it ends a worker for good.
  for (const worker of Object.values(cluster.workers)) {
    worker.disableRefork = true;
    worker.disconnect();
  }
});
