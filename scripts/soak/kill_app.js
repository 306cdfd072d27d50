'use strict';

// The cluster of kill.js and descriptors.js: an HTTP server in each of WORKERS workers, replaced when they die. The
// parent says `kill`, and hears how many connections the worker had at its death.

const http = require('node:http');

const native = require('../../lib/native.js').load();

const { Link } = native;
/** The newest, which belongs to the worker that is being forked. @type {InstanceType<typeof Link>} */
let newest;
native.Link = class extends Link {
  constructor() {
    super();
    newest = this;
  }
};

/** @type {any} */
const cluster = require('../../index.js');

if (cluster.isPrimary) {
  /** @type {Map<any, InstanceType<typeof Link>>} */
  const links = new Map();
  const fork = () => {
    const worker = cluster.fork();
    links.set(worker, newest);
  };
  let listening = 0;
  cluster.on('listening', (/** @type {any} */ _worker, /** @type {{ port: number }} */ { port }) => {
    listening++;
    const pids = Object.values(cluster.workers).map((/** @type {any} */ worker) => worker.process.pid);
    if (listening >= Number(process.env.WORKERS)) process.send?.({ listening: port, pids });
  });
  cluster.on('exit', (/** @type {any} */ worker) => {
    // What its board says: taken, and not over.
    const { active } = /** @type {import('../../lib/native-types').Link} */ (links.get(worker)).readBoard();
    links.delete(worker);
    fork();
    process.send?.({ died: worker.process.pid, active });
  });
  process.on('message', () => {
    const alive = Object.values(cluster.workers).filter((/** @type {any} */ worker) => worker.isConnected());
    alive[Math.floor(Math.random() * alive.length)].process.kill('SIGKILL');
  });
  process.on('disconnect', () => process.exit());
  for (let i = 0; i < Number(process.env.WORKERS); i++) fork();
} else {
  http.createServer((request, response) => response.end('hello\n')).listen(0, '127.0.0.1');
}
