'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { startServer } = require('../lib/server.js');
const { runLoad } = require('../lib/load.js');

const RATE = 300;

/** @type {import('../lib/experiment.js').Experiment} */
const primaryBlocked = {
  name: 'blocked primary',
  about: `The longest of ${RATE} requests/s to 2 workers, before and while the primary's JavaScript blocks 500 ms every 2 s.`,
  reference: NODE_RR,
  takesPart: ({ id }) => [NODE_RR, 'node none', 'rcluster rr', 'rcluster least', 'rcluster reuseport'].includes(id),
  metrics: {
    calm_max_ms: { title: 'longest request, primary not blocked', unit: 'ms', digits: 1 },
    blocked_max_ms: { title: 'longest request, primary blocks 500 ms every 2 s', unit: 'ms', digits: 1, chart: true },
    blocked_p99_ms: { title: 'p99, primary blocks 500 ms every 2 s', unit: 'ms', digits: 1 },
  },
  targets: [
    { text: 'longest request, primary blocked against not', rival: 'rcluster rr', metric: 'blocked_max_ms', of: 'ratio', againstMetric: 'calm_max_ms', atMost: 2 },
  ],
  async measure(rival, { programs, seconds }) {
    const server = await startServer(rival, { floor: programs.floor });
    const load = (/** @type {number} */ time) => runLoad(programs.load, server.port, { rate: RATE, seconds: time });
    try {
      await load(seconds(1));
      const calm = await load(seconds(4.2));
      process.kill(server.primary, 'SIGUSR2');
      // Three blocks: at once, and after 2 and 4 s. Not shortened, or there would be only one.
      const blocked = await load(4.2);
      return {
        calm_max_ms: calm.latency_us.max / 1000,
        blocked_max_ms: blocked.latency_us.max / 1000,
        blocked_p99_ms: blocked.latency_us.p99 / 1000,
        calm,
        blocked,
      };
    } finally {
      await server.stop();
    }
  },
};

module.exports = primaryBlocked;
