'use strict';

/**
 * An HTTP server under rcluster's supervisor that asks whom each connection is from, as access logs do. Every answer is the pid of the process that
 * served it. BENCH_PROXY_PROTOCOL says who is believed to speak the PROXY protocol; without it nobody is.
 */

const http = require('node:http');
const cluster = require('./choose.js');

const PID = String(process.pid);

function main() {
  const { print, stopWithTheBenchmark, workerCount } = require('./primary.js');
  stopWithTheBenchmark();
  const { BENCH_PROXY_PROTOCOL: trusted } = process.env;
  let port = 0;
  cluster.on('listening', (_worker, address) => (port = address.port));
  const supervisor = /** @type {any} */ (cluster).supervise({ workers: workerCount(), signals: false, ...(trusted && { proxyProtocol: trusted }) });
  supervisor.once('ready', () => {
    const workers = Object.values(cluster.workers ?? {}).map((worker) => worker?.process.pid);
    print({ port, primary: process.pid, workers });
  });
}

if (cluster.isPrimary) main();
else http.createServer(({ socket }, response) => response.end(socket.remoteAddress ? PID : 'nobody')).listen(0, '127.0.0.1');
