'use strict';

/** Forks one worker after the other and prints how long each took from `fork()` to its `listening` event. */

const http = require('node:http');
const { once } = require('node:events');
const cluster = require('./choose.js');

const FORKS = Number(process.env.BENCH_FORKS ?? 10);

async function primary() {
  const { print, stop, stopWithTheBenchmark } = require('./primary.js');
  stopWithTheBenchmark();
  const ms = [];
  for (let i = 0; i < FORKS; i++) {
    const begin = performance.now();
    const worker = cluster.fork();
    await once(worker, 'listening');
    ms.push(performance.now() - begin);
    worker.process.kill('SIGKILL');
    await once(worker, 'exit');
  }
  print({ ms });
  stop();
}

if (cluster.isPrimary) primary();
else http.createServer().listen(0, '127.0.0.1');
