'use strict';

// JSON replaced by one that makes dates and big integers, and that writes something else.

const { parse, stringify } = JSON;
const cluster = require('node:cluster');

JSON.parse = (text) => parse(text, (_name, value) => (typeof value === 'number' ? BigInt(value) : value));
JSON.stringify = (value) => ` ${stringify(value)} ;`;

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', (message) => {
    console.log(stringify(message));
    worker.disconnect();
  });
  worker.on('listening', ({ port }) => worker.send({ number: 5, isPort: port > 0 }));
} else {
  require('node:net').createServer().listen(0, '127.0.0.1');
  process.on('message', (message) => process.send({ ...message, type: typeof message.number }));
}
