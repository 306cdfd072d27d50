'use strict';

// What programs look at: names, lengths, own members, forms of arguments.

const cluster = require('node:cluster');

const about = (call) => [typeof call, call?.length].join(' ');
const look = (worker) => ({
  worker: Object.keys(worker).sort(),
  ofWorker: Object.keys(Object.getPrototypeOf(worker)).sort(),
  send: [about(worker.send), about(worker.process.send), about(worker.process.disconnect), about(worker.kill), about(worker.destroy), about(worker.disconnect)],
  kill: worker.kill === worker.destroy,
  connected: [worker.isConnected(), worker.process.connected, worker.isDead()],
  instance: [worker instanceof cluster.Worker, worker instanceof require('node:events'), worker.constructor.name],
  channel: ['ref', 'unref'].map((name) => about(worker.process.channel[name])),
});

if (cluster.isPrimary) {
  console.log(JSON.stringify([cluster.setupPrimary === cluster.setupMaster, about(cluster.fork), about(cluster.disconnect), about(cluster.setupPrimary), Object.keys(cluster.settings)]));
  const worker = cluster.fork();
  console.log(JSON.stringify(look(worker)), Object.keys(cluster.settings));
  worker.on('message', (seen) => {
    console.log(JSON.stringify(seen));
    worker.disconnect();
  });
} else {
  process.send([look(cluster.worker), cluster.workers, cluster.settings, cluster.fork, cluster.isMaster, typeof cluster.disconnect]);
}
