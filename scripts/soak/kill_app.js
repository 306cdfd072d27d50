'use strict';

// The cluster of kill.js and descriptors.js: an HTTP server in each of WORKERS workers, replaced when they die. The
// parent says `kill`, and hears how many connections the worker had at its death.

const http = require('node:http');

const { Acceptor } = require('../../lib/native.js').load();

/** Of the worker that ended last. */
let connections = 0;
const { removeWorker } = Acceptor.prototype;
Acceptor.prototype.removeWorker = function countingRemoveWorker(/** @type {number} */ worker) {
  connections = Reflect.apply(removeWorker, this, [worker]);
  return connections;
};

/** @type {any} */
const cluster = require('../../index.js');

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (/** @type {any} */ _worker, /** @type {{ port: number }} */ { port }) => {
    listening++;
    const pids = Object.values(cluster.workers).map((/** @type {any} */ worker) => worker.process.pid);
    if (listening >= Number(process.env.WORKERS)) process.send?.({ listening: port, pids });
  });
  cluster.on('exit', (/** @type {any} */ worker) => {
    cluster.fork();
    process.send?.({ died: worker.process.pid, connections });
  });
  process.on('message', () => {
    const alive = Object.values(cluster.workers).filter((/** @type {any} */ worker) => worker.isConnected());
    alive[Math.floor(Math.random() * alive.length)].process.kill('SIGKILL');
  });
  process.on('disconnect', () => process.exit());
  for (let i = 0; i < Number(process.env.WORKERS); i++) cluster.fork();
} else {
  http.createServer((request, response) => response.end('hello\n')).listen(0, '127.0.0.1');
}
