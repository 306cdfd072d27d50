'use strict';

/** Forks one worker after the other and prints how long each took from `fork()` to its `listening` event, and its CPU until then. */

const http = require('node:http');
const { once } = require('node:events');
const cluster = require('./choose.js');

const FORKS = Number(process.env.BENCH_FORKS ?? 10);

async function primary() {
  const { print, stop, stopWithTheBenchmark } = require('./primary.js');
  const { threadsUs } = require('../lib/cpu.js');
  stopWithTheBenchmark();
  const ms = [];
  const cpuMs = [];
  for (let i = 0; i < FORKS; i++) {
    const begin = performance.now();
    const worker = cluster.fork();
    await once(worker, 'listening');
    ms.push(performance.now() - begin);
    cpuMs.push(Object.values(threadsUs(Number(worker.process.pid))).reduce((sum, us) => sum + us, 0) / 1000);
    worker.process.kill('SIGKILL');
    await once(worker, 'exit');
  }
  print({ ms, cpuMs });
  stop();
}

if (cluster.isPrimary) primary();
else http.createServer().listen(0, '127.0.0.1');
