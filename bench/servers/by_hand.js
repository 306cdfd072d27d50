'use strict';

/**
 * The classic "choose the worker yourself" server: the primary accepts, and sends each socket to a worker of its
 * choice with `worker.send('socket', socket)`; the worker feeds it to an HTTP server that never listens.
 */

const http = require('node:http');
const net = require('node:net');
const cluster = require('./choose.js');

function primary() {
  const { workerCount, stopWithTheBenchmark, printReady } = require('./primary.js');
  stopWithTheBenchmark();
  const workers = Array.from({ length: workerCount() }, () => cluster.fork());
  let next = 0;
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    workers[next].send('socket', socket);
    next = (next + 1) % workers.length;
  });
  server.listen(0, '127.0.0.1', () => printReady(/** @type {net.AddressInfo} */ (server.address()).port));
}

function worker() {
  const pid = String(process.pid);
  const server = http.createServer((_request, response) => response.end(pid));
  process.on('message', (_message, /** @type {net.Socket | undefined} */ socket) => {
    // A socket whose client has gone meanwhile does not arrive.
    if (!socket) return;
    server.emit('connection', socket);
    socket.resume();
  });
}

if (cluster.isPrimary) primary();
else worker();
