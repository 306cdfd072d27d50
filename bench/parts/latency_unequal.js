'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { startServer } = require('../lib/server.js');
const { runLoad, failures } = require('../lib/load.js');

const WORKERS = 4;
/** At random: every 20th exactly would give them all to the same worker of a strict rotation over 4. */
const SLOW_ONE_IN = 20;
const LOAD_SHARE = 0.6;

/** @type {import('../lib/experiment.js').Experiment} */
const unequal = {
  name: 'unequal work',
  about: `1 request in ${SLOW_ONE_IN} burns 20 ms of CPU; connections are offered to ${WORKERS} workers at 60 % of what node rr can serve at most.`,
  reference: NODE_RR,
  takesPart: ({ kind }) => kind === 'node' || kind === 'rcluster',
  metrics: {
    p99_ms: { title: 'p99 with unequal work', unit: 'ms', digits: 1, chart: true },
    p90_ms: { title: 'p90 with unequal work', unit: 'ms', digits: 1 },
    p50_ms: { title: 'median with unequal work', unit: 'ms', digits: 2 },
    max_ms: { title: 'longest with unequal work', unit: 'ms', digits: 1 },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'p99 of unequal work against node rr', rival: 'rcluster rr', metric: 'p99_ms', of: 'ratio', againstRival: NODE_RR, atMost: 1 },
    { text: 'p99 of unequal work against node rr', rival: 'rcluster least', metric: 'p99_ms', of: 'ratio', againstRival: NODE_RR, atMost: 0.8 },
  ],
  /** The rate for everyone: a share of what the reference can do at most, on this machine, now. */
  async prepare({ programs, seconds }) {
    const server = await startServer({ id: NODE_RR, kind: 'node', policy: 'rr' }, { floor: programs.floor, workers: WORKERS });
    const load = { connections: 32, 'slow-one-in': SLOW_ONE_IN };
    try {
      await runLoad(programs.load, server.port, { ...load, seconds: seconds(1) });
      const { requests, seconds: took } = await runLoad(programs.load, server.port, { ...load, seconds: seconds(4) });
      return { capacity_per_second: requests / took, rate: Math.round((requests / took) * LOAD_SHARE) };
    } finally {
      await server.stop();
    }
  },
  async measure(rival, { programs, seconds }, round, { rate }) {
    const server = await startServer(rival, { floor: programs.floor, workers: WORKERS });
    // The same sequence of slow requests for all rivals of a round.
    const load = { rate, sources: 64, 'slow-one-in': SLOW_ONE_IN, seed: round };
    try {
      await runLoad(programs.load, server.port, { ...load, seconds: seconds(1) });
      const report = await runLoad(programs.load, server.port, { ...load, seconds: seconds(4) });
      return {
        p99_ms: report.latency_us.p99 / 1000,
        p90_ms: report.latency_us.p90 / 1000,
        p50_ms: report.latency_us.p50 / 1000,
        max_ms: report.latency_us.max / 1000,
        failed: failures(report),
        report,
      };
    } finally {
      await server.stop();
    }
  },
};

module.exports = unequal;
