'use strict';

// Sends to workers that end at this moment: one outcome for each callback, no exception.

const cluster = require('node:cluster');

if (cluster.isPrimary) {
  const worker = cluster.fork();
  const seen = [];
  worker.on('error', ({ code }) => seen.push(`error ${code}`));
  worker.once('message', () => {
    worker.process.kill('SIGKILL');
    let outcomes = 0;
    for (let n = 0; n < 50; n++) worker.send({ n, text: 'x'.repeat(n * 100) }, () => outcomes++);
    worker.on('exit', () => {
      setTimeout(() => {
        seen.push(worker.send('late', (error) => seen.push(`late ${error.code}`)));
        seen.push(worker.send('later'));
        worker.disconnect();
        worker.process.once('error', () => {});
        worker.process.disconnect();
        setTimeout(() => console.log(outcomes, seen, worker.isConnected(), worker.process.channel), 50);
      }, 50);
    });
  });
} else {
  process.on('message', () => {});
  process.send('ready');
}
