'use strict';

/**
 * How fast sockets go through `worker.send(message, socket)`, with nothing else in the time that is counted:
 * the primary first gathers connected sockets, then sends them all, and stops the clock when the worker has them.
 */

const net = require('node:net');
const { once } = require('node:events');
const cluster = require('./choose.js');

const SECONDS = Number(process.env.BENCH_SECONDS ?? 1);
const BATCH = 100;

/**
 * @param {net.Server} server
 * @returns {Promise<net.Socket[]>} the server's ends of fresh connections to itself
 */
async function gather(server) {
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  /** @type {net.Socket[]} */
  const sockets = [];
  const all = new Promise((resolve) => {
    const add = (/** @type {net.Socket} */ socket) => {
      if (sockets.push(socket) < BATCH) return;
      server.off('connection', add);
      resolve(undefined);
    };
    server.on('connection', add);
  });
  for (let i = 0; i < BATCH; i++) {
    // The worker closes them: a reset is as good as an end here.
    net.connect(port, '127.0.0.1').on('error', () => {}).resume();
  }
  await all;
  return sockets;
}

async function primary() {
  const worker = cluster.fork();
  await once(worker, 'message');
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  await require('./primary.js').measureWhenAsked(async () => {
    let passed = 0;
    let ms = 0;
    while (ms < SECONDS * 1000) {
      const sockets = await gather(server);
      const begin = performance.now();
      for (const socket of sockets) worker.send('socket', socket);
      await once(worker, 'message');
      ms += performance.now() - begin;
      passed += BATCH;
    }
    return { passed, seconds: ms / 1000 };
  });
}

if (cluster.isPrimary) {
  primary();
} else {
  let received = 0;
  process.on('message', (_message, /** @type {net.Socket | undefined} */ socket) => {
    socket?.destroy();
    if (++received % BATCH === 0) process.send?.('all');
  });
  process.send?.('ready');
}
