'use strict';

// A plain rolling restart, as many tutorials show it, with Node's own cluster module: SIGHUP forks a new worker, waits until it
// listens, and disconnects an old one; and so on. It says so when it is done.

/** @type {import('node:cluster').Cluster} */
const cluster = /** @type {any} */ (require('node:cluster'));

cluster.setupPrimary({ exec: require.resolve('./app.js') });

const forkOne = () => new Promise((resolve) => { cluster.fork().once('listening', resolve); });

process.on('SIGHUP', async () => {
  for (const old of Object.values(/** @type {Record<string, import('node:cluster').Worker>} */ (cluster.workers))) {
    await forkOne();
    const gone = new Promise((resolve) => { old.process.once('exit', resolve); });
    old.disconnect();
    // As PM2 does: who has not left by then is killed.
    const timer = setTimeout(() => old.process.kill('SIGKILL'), 1600);
    await gone;
    clearTimeout(timer);
  }
  console.log('replaced');
});

void Promise.all([forkOne(), forkOne()]).then(() => console.log('ready'));
