'use strict';

// A Koa app on two workers, as its users write it.

const cluster = require('node:cluster');
const { Readable } = require('node:stream');
const { json } = require('node:stream/consumers');
const Koa = require('koa');
const slowly = require('../helpers/slowly');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, 2);
  cluster.fork();
  cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const app = new Koa();
  const routes = {
    '/': (context) => (context.body = { pid: process.pid, ip: context.ip }),
    '/echo': async (context) => (context.body = await json(context.req)),
    '/slow': (context) => (context.body = Readable.from(slowly())),
    '/stream': (context) => (context.body = Readable.from(['a', 'b', 'c'])),
    '/fails': () => {
      throw new Error('on purpose');
    },
  };
  app.use(async (context, next) => {
    try {
      await next();
    } catch (error) {
      context.status = 500;
      context.body = { error: error.message };
    }
  });
  app.use((context) => routes[context.path](context));
  app.listen(0, '127.0.0.1');
}
