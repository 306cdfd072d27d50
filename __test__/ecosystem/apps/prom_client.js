'use strict';

// As in prom-client's own example of a cluster: the primary serves the sum of what the workers count.

const cluster = require('node:cluster');
const http = require('node:http');
const { AggregatorRegistry, Counter, Gauge, Histogram } = require('prom-client');

// In every process: it asks in the primary and answers in workers.
const registry = new AggregatorRegistry();

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, 2);
  cluster.on('exit', (worker) => console.log(`worker ${worker.process.pid} is gone`));
  cluster.fork();
  cluster.fork();
  http
    .createServer(async (request, response) => {
      try {
        response.setHeader('Content-Type', registry.contentType);
        response.end(await registry.clusterMetrics());
      } catch (error) {
        response.writeHead(500).end(error.message);
      }
    })
    .listen(0, '127.0.0.1', function () {
      console.log(`metrics on ${this.address().port}`);
    });
} else {
  const requests = new Counter({ name: 'requests', help: 'all requests', labelNames: ['worker'] });
  const total = new Counter({ name: 'total', help: 'all requests of all workers' });
  const workers = new Gauge({ name: 'workers', help: 'workers that run', aggregator: 'sum' });
  const sizes = new Histogram({ name: 'sizes', help: 'length of paths', buckets: [1, 5, 50] });
  workers.set(1);
  http
    .createServer((request, response) => {
      requests.inc({ worker: process.pid });
      total.inc();
      sizes.observe(request.url.length);
      response.end('counted');
    })
    .listen(0, '127.0.0.1');
}
