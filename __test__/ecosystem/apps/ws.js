'use strict';

// WebSockets on two workers. What one client says, the clients of all workers hear: the primary passes it on.

const cluster = require('node:cluster');
const http = require('node:http');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, 2);
  cluster.fork();
  cluster.fork();
  cluster.on('message', (from, message) => {
    for (const worker of Object.values(cluster.workers)) worker.send(message);
  });
} else {
  const { WebSocketServer } = require('ws');
  const server = http.createServer((request, response) => response.end(`${process.pid}`));
  const wss = new WebSocketServer({ server });
  wss.on('connection', (socket) => {
    socket.send(JSON.stringify({ pid: process.pid }));
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.send(data);
      else process.send({ say: data.toString() });
    });
  });
  process.on('message', (message) => {
    for (const client of wss.clients) client.send(JSON.stringify(message));
  });
  server.listen(0, '127.0.0.1');
}
