'use strict';

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { startServer } = require('../lib/server.js');
const { runLoad, failures } = require('../lib/load.js');

const RATE = 200;
const BLOCK_MS = 1000;
/** Longer than any healthy worker takes here. */
const LATE_MS = 50;

/**
 * @param {number} port
 * @returns {Promise<number>} the pid of the worker that was blocked, when it is free again
 */
function blockOneWorker(port) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: `/block/${BLOCK_MS}`, agent: false };
    http.get(options, async (response) => {
      const chunks = await response.toArray();
      resolve(Number(Buffer.concat(chunks).toString()));
    }).on('error', reject);
  });
}

/** @type {import('../lib/experiment.js').Experiment} */
const workerBlocked = {
  name: 'blocked worker',
  about: `One of 4 workers blocks its event loop for ${BLOCK_MS} ms while ${RATE} connections/s are offered: how many others wait for it.`,
  takesPart: ({ kind }) => kind === 'node' || kind === 'rcluster',
  metrics: {
    waited: { title: 'connections that waited until the blocked worker was free', unit: '', chart: true },
    rescued: { title: `connections that took over ${LATE_MS} ms, served by another worker`, unit: '' },
    max_ms: { title: 'longest request', unit: 'ms' },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'connections that wait, but the one it serves', rival: 'rcluster rr', metric: 'waited', of: 'value', atMost: 0 },
    { text: 'connections that wait, but the one it serves', rival: 'rcluster least', metric: 'waited', of: 'value', atMost: 0 },
  ],
  async measure(rival, { programs }) {
    const server = await startServer(rival, { floor: programs.floor, workers: 4 });
    const load = (/** @type {number} */ seconds) => {
      return runLoad(programs.load, server.port, { rate: RATE, seconds, sources: 64, 'report-over': LATE_MS });
    };
    try {
      await load(1);
      const offered = load(2.2);
      await sleep(500);
      const [report, blocked] = await Promise.all([offered, blockOneWorker(server.port)]);
      const late = report.over ?? [];
      const waited = late.filter(([, , pid]) => pid === blocked).length;
      return {
        waited,
        rescued: late.length - waited,
        max_ms: report.latency_us.max / 1000,
        failed: failures(report),
        blocked_pid: blocked,
        report,
      };
    } finally {
      await server.stop();
    }
  },
};

module.exports = workerBlocked;
