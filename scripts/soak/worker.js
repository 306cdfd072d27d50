'use strict';

// A worker of random.js: listens, closes and listens again, answers, echoes, and sometimes dies.

const http = require('node:http');
const { generator } = require('./generator.js');

const random = generator(Number(process.env.SOAK_SEED));
/** @type {Set<import('node:http').Server>} */
const servers = new Set();

function listen() {
  const server = http.createServer((request, response) => {
    const answer = () => response.end('x'.repeat(random.integer(20_000)));
    if (random.integer(10) === 0) setTimeout(answer, random.integer(100));
    else answer();
    if (random.integer(1000) === 0) process.exit(3);
  });
  server.keepAliveTimeout = 1000;
  server.on('error', () => servers.delete(server));
  server.listen(0, random.one(['127.0.0.1', undefined]), random.integer(2) === 0 ? 5 : undefined);
  servers.add(server);
}

listen();
const timer = setInterval(() => {
  if (random.integer(4) === 0) {
    const server = random.one([...servers]);
    servers.delete(server);
    server?.close();
  }
  if (servers.size < 3) listen();
}, 200);

process.on('message', (/** @type {any} */ message, /** @type {any} */ handle) => {
  if (message.echo !== undefined && process.connected) process.send?.(message, () => {});
  if (message === 'socket' && handle) handle.on('error', () => {}).end('hello');
  if (message === 'server' && handle) setTimeout(() => handle.close(), random.integer(300));
});
process.on('disconnect', () => clearInterval(timer));
process.on('SIGTERM', () => process.exit(0));
