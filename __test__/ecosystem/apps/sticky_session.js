'use strict';

// As in the README of sticky-session. The library opens the port in the primary, and passes on each connection.

const cluster = require('node:cluster');
const http = require('node:http');
const sticky = require('sticky-session');

const server = http.createServer((request, response) => {
  let length = 0;
  request.on('data', (chunk) => (length += chunk.length));
  request.on('end', () => response.end(JSON.stringify({ pid: process.pid, length })));
});
if (!sticky.listen(server, Number(process.env.PORT), { workers: 3 })) {
  cluster.on('online', (worker) => console.log(`online ${worker.process.pid}`));
  server.once('listening', () => console.log(`listening on ${process.env.PORT}`));
}
