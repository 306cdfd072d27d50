'use strict';

// A Worker that a program makes of a process of its own, as pools do that have one interface for all.

const childProcess = require('node:child_process');
const cluster = require('node:cluster');

if (process.argv[2] === 'child') {
  process.on('internalMessage', ({ cmd, act }) => process.send(`${cmd} ${act}`));
  process.on('message', () => {});
} else {
  (async () => {
    for (const how of ['disconnect', 'kill', 'destroy']) {
      const worker = new cluster.Worker({ id: 5, process: childProcess.fork(__filename, ['child']) });
      worker.on('message', (message) => {
        console.log(message);
        worker.kill();
      });
      const result = worker[how]();
      console.log(how, result === worker, worker.exitedAfterDisconnect, worker.isConnected(), worker.isDead());
      await new Promise((resolve) => {
        worker.process.on('exit', (...end) => resolve(console.log(end, worker.isDead())));
      });
    }
    cluster.disconnect(() => console.log('disconnected'));
  })();
}
