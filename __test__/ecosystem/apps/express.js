'use strict';

// An Express app on two workers, as its users write it.

const cluster = require('node:cluster');
const { Readable } = require('node:stream');
const express = require('express');
const slowly = require('../helpers/slowly');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, 2);
  cluster.fork();
  cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const app = express();
  app.use(express.json({ limit: '2mb' }));
  app.get('/', (request, response) => response.json({ pid: process.pid, ip: request.ip }));
  app.post('/echo', (request, response) => response.json(request.body));
  app.get('/slow', (request, response) => Readable.from(slowly()).pipe(response));
  app.get('/stream', (request, response) => Readable.from(['a', 'b', 'c']).pipe(response));
  app.get('/fails', () => {
    throw new Error('on purpose');
  });
  app.use((error, request, response, _next) => response.status(500).json({ error: error.message }));
  app.listen(0, '127.0.0.1');
}
