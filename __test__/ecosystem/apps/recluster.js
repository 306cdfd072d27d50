'use strict';

// As in the README of recluster: SIGUSR2 reloads, and the app says in which version it is.

const recluster = require('recluster');

const balancer = recluster(require.resolve('./recluster_worker.js'), {
  workers: 2,
  timeout: 5,
  respawn: 0.05,
  backoff: 0.2,
  log: { respawns: false },
});
let listening = 0;
balancer.on('listening', (worker, { port }) => {
  if (++listening === 2) console.log(`listening on ${port}`);
});
balancer.on('exit', (worker) => console.log(`exit ${worker.process.pid}`));
balancer.run();

process.on('SIGUSR2', () => balancer.reload(() => console.log('reloaded')));
process.on('SIGTERM', () => balancer.terminate(() => console.log('terminated')));
