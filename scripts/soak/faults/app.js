'use strict';

// A small service: two workers that answer and change messages with their primary, and more when it is asked for. It is told what
// to do over its standard input, and tells over its standard output, as no call that is made to fail is made for those.

const path = require('node:path');

require(process.env.RCLUSTER_PACKAGE ?? path.join(__dirname, '..', '..', '..'));
/** @type {any} */
const cluster = require('node:cluster');

/** @param {object} message */
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

function primary() {
  cluster.setupPrimary({ stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  /** @type {any[]} */
  const workers = [];
  const fork = () => {
    const forked = cluster.fork();
    const { id } = forked;
    forked.on('error', (/** @type {any} */ { code }) => tell({ told: `error of worker ${id}: ${code}` }));
    forked.on('exit', (/** @type {number} */ code, /** @type {string} */ signal) => {
      tell({ told: `worker ${id} exited: ${signal ?? code}`, exited: forked.process.pid });
    });
    forked.on('message', (/** @type {any} */ message) => tell({ back: message.pid }));
    forked.on('listening', (/** @type {any} */ { port }) => tell({ listening: forked.process.pid, port }));
    workers.push(forked);
  };
  process.on('warning', (/** @type {any} */ { code, message }) => tell({ told: `warning ${code ?? message}` }));
  /** @type {Record<string, () => void>} */
  const orders = {
    ask() {
      for (const one of workers) if (one.isConnected()) one.send('ask', () => {});
    },
    fork() {
      try {
        fork();
      } catch (error) {
        tell({ told: `fork: ${/** @type {any} */ (error).code}` });
      }
    },
    // A worker whose first system call is traced already.
    'fork traced'() {
      const { execPath } = process;
      process.execPath = `${process.env.TRACED_NODE}`;
      orders.fork();
      process.execPath = execPath;
    },
  };
  process.stdin.on('data', (text) => `${text}`.split('\n').forEach((order) => orders[order]?.()));
  process.stdin.on('end', () => process.exit());
  fork();
  fork();
}

function worker() {
  const server = require('node:http').createServer((_request, response) => response.end(`${process.pid}`));
  server.on('error', (error) => process.send?.({ pid: `server: ${/** @type {any} */ (error).code}` }));
  server.listen(0, '127.0.0.1');
  process.on('message', () => process.send?.({ pid: process.pid }));
}

if (cluster.isPrimary) primary();
else worker();
