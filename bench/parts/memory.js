'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { NODE_RR } = require('../lib/rivals.js');
const { oneOfEachKind } = require('../lib/exercise.js');
const { residentMb, proportionalMb } = require('../lib/memory.js');
const { startServer } = require('../lib/server.js');
const { median } = require('../lib/stats.js');

const WORKERS = 16;

/** @type {import('../lib/experiment.js').Experiment} */
const memory = {
  name: 'memory',
  about: `Resident memory of an HTTP server with ${WORKERS} workers, a second after all of them listen: of the primary, and of the middle worker.`,
  reference: NODE_RR,
  takesPart: oneOfEachKind,
  metrics: {
    worker_mb: { title: 'memory of a worker', unit: 'MB', digits: 1, chart: true },
    worker_pss_mb: { title: 'the same without what it shares with others (PSS)', unit: 'MB', digits: 1 },
    primary_mb: { title: `memory of the primary with ${WORKERS} workers`, unit: 'MB', digits: 1, chart: true },
    primary_pss_mb: { title: 'the same without what it shares with others (PSS)', unit: 'MB', digits: 1 },
  },
  targets: [
    { text: 'memory of a worker, MB', rival: 'rcluster rr', metric: 'worker_mb', of: 'difference', againstRival: NODE_RR, atMost: 2 },
    { text: `memory of the primary with ${WORKERS} workers, MB`, rival: 'rcluster rr', metric: 'primary_mb', of: 'difference', againstRival: NODE_RR, atMost: 3 },
  ],
  async measure(rival, { programs }) {
    const server = await startServer(rival, { floor: programs.floor, workers: WORKERS });
    try {
      await sleep(1000);
      const workers = server.workers.map(residentMb);
      return {
        worker_mb: median(workers),
        worker_pss_mb: median(server.workers.map(proportionalMb)),
        primary_mb: residentMb(server.primary),
        primary_pss_mb: proportionalMb(server.primary),
        workers,
      };
    } finally {
      await server.stop();
    }
  },
};

module.exports = [memory];
