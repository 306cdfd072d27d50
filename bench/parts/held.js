'use strict';

const { startServer } = require('../lib/server.js');
const { runLoad, failures } = require('../lib/load.js');

const HELD = 1000;
const CHURN = 200;
const WORKERS = 4;

/** @type {import('../lib/experiment.js').Experiment} */
const held = {
  name: 'held connections',
  about: `${HELD} idle connections over ${WORKERS} workers, ${CHURN} of them replaced per second: how evenly the workers hold them.`,
  takesPart: ({ kind }) => kind === 'node' || kind === 'rcluster',
  metrics: {
    widest_late: { title: 'widest spread of held connections, after 2 s of replacing', unit: 'max − min', chart: true },
    widest: { title: 'the same since all were open', unit: 'max − min' },
    failed: { title: 'failed', unit: 'connections' },
  },
  targets: [
    { text: 'widest spread of held connections, max − min', rival: 'rcluster least', metric: 'widest_late', of: 'value', atMost: 2 },
  ],
  async measure(rival, { programs, seconds }, round) {
    const server = await startServer(rival, { floor: programs.floor, workers: WORKERS });
    try {
      // A worker that has not compiled its code yet is passed over.
      await runLoad(programs.load, server.port, { connections: 64, sources: 64, seconds: seconds(1) });
      const load = { hold: HELD, churn: CHURN, sources: 64, seed: round, seconds: seconds(4) };
      const report = await runLoad(programs.load, server.port, load);
      return { widest: report.held?.widest, widest_late: report.held?.widest_late, failed: failures(report), report };
    } finally {
      await server.stop();
    }
  },
};

module.exports = [held];
