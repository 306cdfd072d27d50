'use strict';

// Array.prototype.toJSON, as prototype.js has it: messages without arrays, handles and long texts still travel.

Array.prototype.toJSON = () => 'an array';
const cluster = require('node:cluster');
const net = require('node:net');

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', (seen) => {
    console.log(seen.text);
    if (!seen.isLast) return;
    worker.disconnect();
    server.close();
  });
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    worker.send({ short: 1 });
    worker.send({ long: 'x'.repeat(20_000) });
    worker.send({ handle: 1 }, server);
    worker.send({ list: [1], isLast: true });
  });
} else {
  process.on('message', (message, handle) => {
    handle?.close();
    process.send({ text: `${Object.entries(message).map(([name, { length = 0 }]) => `${name} ${length}`)} ${typeof handle}`, isLast: message.isLast });
  });
}
