'use strict';

// The cluster of storm.js: an HTTP server that answers at once or, with STORM_HOLD, when the primary gets SIGUSR2.
//
// STORM_WORKERS, STORM_MAX_CONNECTIONS (of each worker), STORM_FILL (`primary` or `workers`: whose descriptors are opened
// but for STORM_FREE). Prints { port, primary, workers }.

const fs = require('node:fs');
const http = require('node:http');
const cluster = require('../../index.js');

const { STORM_FILL, STORM_FREE, STORM_HOLD, STORM_MAX_CONNECTIONS, STORM_WORKERS } = process.env;

/** Opens files until only STORM_FREE descriptors are left. */
function fill() {
  const opened = [];
  try {
    for (;;) opened.push(fs.openSync('/dev/null', 'r'));
  } catch {
    for (const fd of opened.slice(-Number(STORM_FREE))) fs.closeSync(fd);
  }
}

function primary() {
  const count = Number(STORM_WORKERS);
  let ready = 0;
  for (let index = 0; index < count; index++) cluster.fork();
  cluster.on('message', (_, message) => {
    if (++ready < count) return;
    if (STORM_FILL === 'primary') fill();
    const workers = Object.values(cluster.workers ?? {}).map((one) => one?.process.pid);
    console.log(JSON.stringify({ port: message.port, primary: process.pid, workers }));
  });
  process.on('SIGUSR2', () => {
    for (const one of Object.values(cluster.workers ?? {})) one?.send('answer');
  });
  // The parent keeps our standard input open for as long as it lives.
  process.stdin.resume().on('end', () => process.exit());
}

function worker() {
  let holding = Boolean(STORM_HOLD);
  /** @type {http.ServerResponse[]} */
  const waiting = [];
  const server = http.createServer((_, response) => {
    if (holding) waiting.push(response);
    else response.end('hello\n');
  });
  if (STORM_MAX_CONNECTIONS) server.maxConnections = Number(STORM_MAX_CONNECTIONS);
  process.on('message', () => {
    holding = false;
    for (const response of waiting.splice(0)) response.end('hello\n');
  });
  server.listen(0, '127.0.0.1', 4096, () => {
    if (STORM_FILL === 'workers') fill();
    process.send?.({ port: /** @type {import('node:net').AddressInfo} */ (server.address()).port });
  });
}

if (cluster.isPrimary) primary();
else worker();
