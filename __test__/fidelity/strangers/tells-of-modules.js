'use strict';

// `node --watch` and other tools send a message for each module that is loaded: while others are sent, and when nobody reads them any more.

const cluster = require('node:cluster');
const { Module } = require('node:module');

if (cluster.isPrimary) {
  const results = [];
  for (const serialization of ['json', 'advanced']) {
    cluster.setupPrimary({ serialization, silent: true });
    const worker = cluster.fork();
    const errors = worker.process.stderr.setEncoding('utf8').toArray();
    worker.on('message', (message) => {
      if (message.long) worker.process.disconnect();
    });
    worker.on('exit', async (...end) => {
      results.push(`${serialization} ${end} ${await errors}`);
      if (results.length === 2) console.log(results.sort());
    });
  }
} else {
  const { _load } = Module;
  const errors = [];
  cluster.worker.on('error', ({ code }) => errors.push(code));
  Module._load = function (...args) {
    process.send({ loaded: args[0] });
    return Reflect.apply(_load, this, args);
  };
  process.send({ first: 1 });
  process.send({ long: 'x'.repeat(20_000), value: { inside: [1] } }, () => {});
  cluster.worker.exitedAfterDisconnect = true;
  process.once('disconnect', () => {
    process.send({ late: 1 });
    setImmediate(() => process.exit(errors.join() === 'ERR_IPC_CHANNEL_CLOSED' ? 3 : 4));
  });
}
