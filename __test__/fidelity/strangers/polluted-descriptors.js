'use strict';

// Members of Object.prototype that are named as those of messages between the two sides.

for (const name of (process.env.NAMES ?? 'act,seq,supervised,held,listener,backlog,sockname,left,advanced').split(',')) {
  Object.defineProperty(Object.prototype, name, { __proto__: null, value: 'polluted', writable: true, configurable: true });
}
const cluster = require('node:cluster');
const net = require('node:net');

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', (message) => {
    console.log(JSON.stringify(message));
    if (message.end) worker.disconnect();
  });
  worker.on('listening', ({ port }) => net.connect(port, '127.0.0.1').resume().on('close', () => worker.send({ end: 1 })));
} else {
  net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  process.on('message', (message) => process.send({ ...message, long: 'x'.repeat(17_000).length }));
  process.send({ text: 'x'.repeat(17_000).slice(0, 3), list: [1] });
}
