'use strict';

// Frozen prototypes, against pollution.

for (const { prototype } of [Object, Array, Function, Error, TypeError, RangeError, Promise, Map, Set, String, Number]) Object.freeze(prototype);
const cluster = require('node:cluster');

const errorOf = (call) => {
  try {
    return call();
  } catch ({ name, code, message }) {
    return [name, code, message].join();
  }
};

if (cluster.isPrimary) {
  const worker = cluster.fork();
  console.log(errorOf(() => worker.send(undefined)));
  console.log(errorOf(() => worker.send(1, null, 5)));
  console.log(errorOf(() => worker.send(1, {})));
  worker.on('message', (seen) => {
    console.log(seen);
    worker.disconnect();
  });
  worker.on('exit', (code) => worker.send('late', (error) => console.log(code, error.name, error.code, error.message)));
} else {
  require('node:net').createServer().on('error', ({ code }) => process.send(code)).listen(0, '192.0.2.1');
}
