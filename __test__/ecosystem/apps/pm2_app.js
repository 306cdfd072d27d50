'use strict';

// A server that PM2 runs, in its cluster mode or in its fork mode. In fork mode it forks its own workers.

const http = require('node:http');
const cluster = require('../../..');

if (cluster.isPrimary) {
  const ready = () => process.send?.('ready');
  let waiting = 2;
  cluster.on('listening', () => --waiting || ready());
  cluster.fork();
  cluster.fork();
  // PM2 stops an app by SIGINT.
  process.once('SIGINT', () => cluster.disconnect(() => process.exit()));
} else {
  // PM2 sends its signal to all processes of the app; it is the primary that acts upon it.
  if (cluster.rcluster.native) process.on('SIGINT', () => {});
  http
    .createServer((request, response) => {
      const { isWorker, rcluster, worker } = cluster;
      response.end(JSON.stringify({ pid: process.pid, parent: process.ppid, isWorker, id: worker.id, rcluster }));
    })
    .listen(Number(process.env.PORT), '127.0.0.1', () => cluster.rcluster.native || process.send('ready'));
}
