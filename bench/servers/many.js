'use strict';

/**
 * An HTTP server that keeps idle connections for ten minutes. With rcluster its workers are supervised, and each line on standard input
 * reloads it and prints the report.
 */

const http = require('node:http');
const readline = require('node:readline');
const cluster = require('./choose.js');

const PID = String(process.pid);
const KEPT = 600_000;

function serve() {
  const server = http.createServer({ keepAliveTimeout: KEPT }, (_request, response) => response.end(PID));
  server.listen(0, '127.0.0.1', () => process.send?.({ ready: /** @type {import('node:net').AddressInfo} */ (server.address()).port }));
}

async function main() {
  const { workerCount, forkReady, printReady, stopWithTheBenchmark } = require('./primary.js');
  stopWithTheBenchmark();
  const { supervise } = /** @type {any} */ (cluster);
  if (!supervise) {
    printReady(await forkReady(workerCount()));
    return;
  }
  let port = 0;
  cluster.on('message', (_worker, /** @type {any} */ { ready }) => (port = ready));
  const supervisor = supervise({ workers: workerCount(), drainTimeout: 60_000, signals: false });
  await supervisor.whenReady();
  printReady(port);
  reloadWhenAsked(supervisor);
}

/** @param {any} supervisor */
async function reloadWhenAsked(supervisor) {
  const { print } = require('./primary.js');
  for await (const _line of readline.createInterface({ input: process.stdin })) {
    const { time, workers } = await supervisor.reload();
    print({ time, workers });
  }
}

if (cluster.isPrimary) main();
else serve();
