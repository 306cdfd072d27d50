'use strict';

const { CpuMeter } = require('../lib/cpu.js');
const { startServer } = require('../lib/server.js');
const { runLoad, together, failures } = require('../lib/load.js');

const WORKERS = 2;
const LOAD = { connections: 64, sources: 64 };
/** Both servers of a round are alive and take turns: so often each. */
const SLICES = 8;

/** @type {import('../lib/experiment.js').Experiment} */
const counters = {
  name: 'counters',
  about: `Requests over ${LOAD.connections} kept connections to ${WORKERS} workers, which count them and how long they take, or do not (\`countRequests\`).`,
  takesPart: ({ id }) => id === 'rcluster rr',
  metrics: {
    plain: { title: 'requests over keep-alive connections', unit: 'per second' },
    counted: { title: 'the same, counted', unit: 'per second' },
    ratio: { title: 'counted against not counted', unit: 'of 1', digits: 3, chart: true },
    cpu: { title: 'CPU of all server processes per request, counted against not counted', unit: 'of 1', digits: 3 },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'requests/s with countRequests against without', rival: 'rcluster rr', metric: 'ratio', of: 'value', atLeast: 0.98 },
    { text: 'failed requests', rival: 'rcluster rr', metric: 'failed', of: 'value', atMost: 0 },
  ],
  async *measure(rival, { programs, seconds }) {
    const servers = await Promise.all(['', '1'].map((BENCH_COUNT_REQUESTS) =>
      startServer(rival, { floor: programs.floor, workers: WORKERS, env: { BENCH_COUNT_REQUESTS } })));
    const run = (/** @type {number} */ which, /** @type {number} */ time) =>
      runLoad(programs.load, servers[which].port, { ...LOAD, seconds: seconds(time), 'keep-alive': true });
    const meters = servers.map((server) => new CpuMeter(server));
    try {
      for (const which of [0, 1]) await run(which, 1);
      /** @type {import('../lib/load.js').LoadReport[][]} */
      const reports = [[], []];
      for (let slice = 0; slice < SLICES; slice++) {
        for (const which of slice % 2 ? [1, 0] : [0, 1]) {
          yield;
          reports[which].push(await meters[which].during(() => run(which, 0.5)));
        }
      }
      const [plain, counted] = reports.map(together);
      const rate = (/** @type {import('../lib/load.js').LoadReport} */ report) => report.requests / report.seconds;
      const cpu = meters[1].all / counted.requests / (meters[0].all / plain.requests);
      return { plain: rate(plain), counted: rate(counted), ratio: rate(counted) / rate(plain), cpu, failed: failures(plain) + failures(counted) };
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

module.exports = [counters];
