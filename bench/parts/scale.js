'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { startServer } = require('../lib/server.js');
const { runLoad } = require('../lib/load.js');
const { watchCpu } = require('../lib/cpu.js');

const FEW = 2;
const MANY = 64;

/** @type {import('../lib/experiment.js').Experiment} */
const scale = {
  name: 'scale',
  about: `CPU of the primary per short connection with ${MANY} workers and with ${FEW}.`,
  reference: NODE_RR,
  takesPart: ({ id }) => [NODE_RR, 'rcluster rr', 'rcluster least', 'rcluster sticky', 'floor'].includes(id),
  metrics: {
    few_us: { title: `CPU of the primary per connection, ${FEW} workers`, unit: 'µs', digits: 1, chart: true },
    many_us: { title: `CPU of the primary per connection, ${MANY} workers`, unit: 'µs', digits: 1, chart: true },
    ratio: { title: `${MANY} workers against ${FEW}`, unit: '', digits: 2 },
  },
  targets: [
    { text: `primary CPU per connection, ${MANY} workers against ${FEW}`, rival: 'rcluster rr', metric: 'many_us', of: 'ratio', againstMetric: 'few_us', atMost: 1.2 },
  ],
  async measure(rival, { programs, seconds }) {
    const primaryUs = async (/** @type {number} */ workers) => {
      const server = await startServer(rival, { floor: programs.floor, workers });
      const load = { connections: 64, sources: 64 };
      try {
        // A connection for each worker is not yet warm: with 64 it takes some seconds on few cores.
        await runLoad(programs.load, server.port, { ...load, requests: 50 * workers + 1000 });
        const cpu = watchCpu(server);
        const { requests } = await runLoad(programs.load, server.port, { ...load, seconds: seconds(2) });
        return cpu().primary / requests;
      } finally {
        await server.stop();
      }
    };
    const few_us = await primaryUs(FEW);
    const many_us = await primaryUs(MANY);
    return { few_us, many_us, ratio: many_us / few_us };
  },
};

module.exports = [scale];
