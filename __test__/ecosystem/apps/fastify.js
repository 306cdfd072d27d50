'use strict';

// A Fastify app on two workers, as its users write it. Without HOST it listens on all that "localhost" means.

const cluster = require('node:cluster');
const fastify = require('fastify');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, Number(process.env.SERVERS ?? 2));
  cluster.fork();
  cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const app = fastify({ bodyLimit: 2 * 1024 * 1024 });
  app.get('/', (request) => ({ pid: process.pid, ip: request.ip }));
  app.post('/echo', (request) => request.body);
  app.get('/slow', async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { pid: process.pid };
  });
  app.get('/stream', (request, reply) => reply.send(require('node:stream').Readable.from(['a', 'b', 'c'])));
  app.get('/fails', async () => {
    throw new Error('on purpose');
  });
  app.setErrorHandler((error, request, reply) => reply.code(500).send({ error: error.message }));
  app.listen({ port: 0, host: process.env.HOST });
}
