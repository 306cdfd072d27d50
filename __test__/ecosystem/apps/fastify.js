'use strict';

// A Fastify app on two workers, as its users write it. Without HOST it listens on all that "localhost" means.

const cluster = require('node:cluster');
const { Readable } = require('node:stream');
const fastify = require('fastify');
const slowly = require('../helpers/slowly');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, Number(process.env.SERVERS ?? 2));
  cluster.fork();
  cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const app = fastify({ bodyLimit: 2 * 1024 * 1024 });
  app.get('/', (request) => ({ pid: process.pid, ip: request.ip }));
  app.post('/echo', (request) => request.body);
  app.get('/slow', (request, reply) => reply.send(Readable.from(slowly())));
  app.get('/stream', (request, reply) => reply.send(Readable.from(['a', 'b', 'c'])));
  app.get('/fails', async () => {
    throw new Error('on purpose');
  });
  app.setErrorHandler((error, request, reply) => reply.code(500).send({ error: error.message }));
  app.listen({ port: 0, host: process.env.HOST });
}
