'use strict';

// An Express app on two workers, as its users write it.

const cluster = require('node:cluster');
const express = require('express');

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
  app.get('/slow', async (request, response) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    response.json({ pid: process.pid });
  });
  app.get('/stream', (request, response) => require('node:stream').Readable.from(['a', 'b', 'c']).pipe(response));
  app.get('/fails', () => {
    throw new Error('on purpose');
  });
  app.use((error, request, response, _next) => response.status(500).json({ error: error.message }));
  app.listen(0, '127.0.0.1');
}
