'use strict';

// `captureRejections`: an async listener that fails.

require('node:events').captureRejections = true;
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('error', (error) => console.log(error.message));
  worker.on('message', async () => { throw new Error('of the message'); });
  worker.on('disconnect', async () => { throw new Error('of disconnect'); });
  worker.on('exit', (code) => console.log(code));
} else {
  process.send('hello', () => process.disconnect());
}
