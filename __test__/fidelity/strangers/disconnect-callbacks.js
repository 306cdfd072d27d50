'use strict';

// `cluster.disconnect` with and without workers, several times, in listeners, and forks after it.

const cluster = require('node:cluster');

if (cluster.isPrimary) {
  const seen = [];
  const tell = (text) => () => seen.push(`${text} ${Object.keys(cluster.workers)}`);
  cluster.disconnect(tell('none'));
  setTimeout(() => {
    cluster.fork();
    cluster.fork();
    cluster.on('exit', (worker) => {
      seen.push(`exit ${worker.exitedAfterDisconnect}`);
      if (worker.id < 2) cluster.disconnect(tell('in exit'));
    });
    let online = 0;
    cluster.on('online', () => {
      if (++online !== 2) return;
      cluster.disconnect(tell('first'));
      cluster.disconnect(tell('second'));
      cluster.disconnect('no function');
      setTimeout(() => {
        cluster.fork().on('online', function () {
          this.disconnect();
          cluster.disconnect(tell('third'));
        }).on('exit', () => setTimeout(() => console.log(seen.sort()), 50));
      }, 300);
    });
  }, 20);
} else {
  process.on('message', () => {});
}
