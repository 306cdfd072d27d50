'use strict';

// A test's stub in the place of `child_process.fork`, which comes after Node's module was loaded.

const cluster = require('node:cluster');
const childProcess = require('node:child_process');
const EventEmitter = require('node:events');

if (cluster.isPrimary) {
  const { fork } = childProcess;
  for (const stub of [() => undefined, () => ({ pid: 1 }), () => new EventEmitter(), () => Promise.resolve()]) {
    childProcess.fork = stub;
    const worker = cluster.fork();
    childProcess.fork = fork;
    worker.on('message', (message) => {
      console.log(message, worker.process instanceof childProcess.ChildProcess);
      worker.disconnect();
    });
  }
} else {
  process.send('real');
}
