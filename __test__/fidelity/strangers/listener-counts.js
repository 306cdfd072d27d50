'use strict';

// How many listeners there are that the program has not added: Node warns when there are more than ten.

const cluster = require('node:cluster');

const EVENTS = ['beforeExit', 'disconnect', 'error', 'exit', 'listening', 'message', 'online', 'SIGINT', 'SIGTERM', 'uncaughtException', 'warning'];
const count = (...emitters) => emitters.map((emitter) => EVENTS.map((name) => `${name} ${emitter.listenerCount(name)}`).join());

if (cluster.isPrimary) {
  const worker = cluster.fork();
  console.log(count(process, cluster, worker, worker.process));
  worker.once('message', (seen) => {
    console.log(seen, count(process, cluster, worker, worker.process));
    worker.disconnect();
  });
} else {
  process.send(count(process, cluster, cluster.worker));
}
