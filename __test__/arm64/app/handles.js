'use strict';

// Servers and sockets travel with a message: the primary listens and accepts, a worker answers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const cluster = require('rcluster');

/** @param {number} port */
async function ask(port) {
  let text = '';
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8').on('data', (data) => (text += data));
  await once(socket, 'close');
  return text;
}

async function listen() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: server.address().port };
}

async function primary() {
  const worker = cluster.fork();
  await once(worker, 'online');
  const one = await listen();
  one.server.on('connection', (socket) => worker.send('socket', socket));
  assert.equal(await ask(one.port), `socket ${worker.process.pid}`);
  one.server.close();

  const other = await listen();
  worker.send('server', other.server);
  await once(worker, 'message');
  other.server.close();
  assert.equal(await ask(other.port), `server ${worker.process.pid}`);
  worker.disconnect();
}

function worker() {
  process.on('message', (what, handle) => {
    if (what === 'socket') return handle.end(`socket ${process.pid}`);
    handle.on('connection', (socket) => {
      socket.end(`server ${process.pid}`);
      handle.close();
    });
    process.send('ready');
  });
}

if (cluster.isPrimary) primary();
else worker();
