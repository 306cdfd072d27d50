'use strict';

// RateLimiterCluster: the primary keeps the counts, the workers ask it.

const cluster = require('node:cluster');
const http = require('node:http');
const { RateLimiterCluster, RateLimiterClusterMaster } = require('rate-limiter-flexible');

if (cluster.isPrimary) {
  new RateLimiterClusterMaster();
  require('../helpers/announce')(cluster, 2);
  cluster.fork();
  cluster.fork();
} else {
  const limiter = new RateLimiterCluster({ keyPrefix: 'app', points: 10, duration: 60, timeoutMs: 3000 });
  http
    .createServer(async (request, response) => {
      try {
        const { remainingPoints } = await limiter.consume(request.headers['x-user']);
        response.end(JSON.stringify({ pid: process.pid, remainingPoints }));
      } catch (rejected) {
        response.writeHead(rejected instanceof Error ? 500 : 429).end(JSON.stringify({ pid: process.pid }));
      }
    })
    .listen(0, '127.0.0.1');
}
