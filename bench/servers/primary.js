'use strict';

/**
 * What the primaries of the benchmark servers share: how to begin, how to say that all is ready, how to end.
 */

const readline = require('node:readline');
const cluster = require('./choose.js');

/** @returns {number} how many workers the benchmark asked for */
function workerCount() {
  return Number(process.env.BENCH_WORKERS ?? 2);
}

/**
 * Prints one line of JSON, which is how a server talks to the benchmark.
 * @param {unknown} value
 */
function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Ends the workers and this process, without grace: nothing is measured any more. */
function stop() {
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
  process.exit(0);
}

/** Ends on SIGTERM, and when the benchmark is gone, which closes our standard input. */
function stopWithTheBenchmark() {
  process.on('SIGTERM', stop);
  process.stdin.resume().on('end', stop);
}

/**
 * Measures as often as the benchmark asks for it, which it does by a line on standard input, and prints each result.
 * @param {() => Promise<unknown>} measure
 */
async function measureWhenAsked(measure) {
  process.on('SIGTERM', stop);
  for await (const _line of readline.createInterface({ input: process.stdin })) print(await measure());
  stop();
}

/**
 * Forks the workers and waits until each has sent `{ ready: port }`. Not the `listening` event: servers that
 * listen with `reusePort` never reach the primary.
 * @param {number} count
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<number>} the port
 */
async function forkReady(count, env) {
  const ports = Array.from({ length: count }, () => {
    const worker = cluster.fork(env);
    return /** @type {Promise<number>} */ (
      new Promise((resolve, reject) => {
        worker.on('message', (message) => message.ready && resolve(message.ready));
        worker.on('exit', (code, signal) => reject(new Error(`a worker ended early: ${code ?? signal}`)));
      })
    );
  });
  return (await Promise.all(ports))[0];
}

/**
 * Prints the line that says where the server is and which processes it has.
 * @param {number} port
 */
function printReady(port) {
  const workers = Object.values(cluster.workers ?? {}).map((worker) => worker?.process.pid);
  print({ port, primary: process.pid, workers });
}

module.exports = { measureWhenAsked, workerCount, print, stop, stopWithTheBenchmark, forkReady, printReady };
