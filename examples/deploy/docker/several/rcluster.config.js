'use strict';

// Both have ended before an engine's 10 s are over: docker stop -t, or terminationGracePeriodSeconds of Kubernetes, gives more.
module.exports = {
  apps: [
    { name: 'web', script: 'web.js', exec_mode: 'cluster', instances: 2, kill_timeout: '8s' },
    { name: 'queue', script: 'queue.js', kill_timeout: '8s', max_memory_restart: '200M' },
  ],
};
