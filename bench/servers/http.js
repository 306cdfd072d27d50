'use strict';

/**
 * The HTTP server of most measurements. Every answer is the pid of the process that served it.
 *
 *   /            at once
 *   /slow        after 20 ms of CPU time
 *   /block/N     after N ms of a blocked event loop
 *
 * BENCH_CLUSTER=off serves without any cluster. BENCH_REUSE_PORT=PORT lets each worker listen for itself.
 * BENCH_COUNT_REQUESTS=1 lets each worker count its requests as `countRequests` does.
 * SIGUSR2 lets the primary block its JavaScript for 500 ms every 2 s from then on.
 */

const http = require('node:http');
const cluster = require('./choose.js');
const { burn, block } = require('./busy.js');

const PID = String(process.pid);

/** @type {http.RequestListener} */
function answer(request, response) {
  const url = request.url ?? '/';
  if (url === '/slow') burn(20);
  else if (url.startsWith('/block/')) block(Number(url.slice('/block/'.length)));
  response.end(PID);
}

/** @param {(port: number) => void} ready */
function serve(ready) {
  if (process.env.BENCH_COUNT_REQUESTS) require('../../lib/worker/http_counts.js').countRequests(new Float64Array(32));
  const reusePort = Number(process.env.BENCH_REUSE_PORT ?? 0);
  // Connections that a benchmark holds open must not be closed for being idle.
  const server = http.createServer({ keepAliveTimeout: 60_000 }, answer);
  const options = { host: '127.0.0.1', port: reusePort, reusePort: reusePort > 0 };
  server.listen(options, () => ready(/** @type {import('node:net').AddressInfo} */ (server.address()).port));
}

async function main() {
  const { print, workerCount, stopWithTheBenchmark, forkReady, printReady } = require('./primary.js');
  stopWithTheBenchmark();
  if (process.env.BENCH_CLUSTER === 'off') {
    serve((port) => print({ port, primary: process.pid, workers: [] }));
    return;
  }
  process.on('SIGUSR2', () => {
    block(500);
    setInterval(block, 2000, 500);
  });
  printReady(await forkReady(workerCount()));
}

if (cluster.isPrimary) main();
else serve((port) => process.send?.({ ready: port }));
