'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { startServer } = require('../lib/server.js');
const { runLoad, together, failures, spread } = require('../lib/load.js');
const { CpuMeter } = require('../lib/cpu.js');

const WORKERS = 2;
/** As many as `ab -c 64`. Several client addresses, or the sticky policy would know one client only. */
const LOAD = { connections: 64, sources: 64 };
/** What every rival can serve: at full speed the faster one has fewer connections pending, and so smaller batches. */
const SAME_RATE = 1000;
/** All servers of a round are alive and take turns: so often each. */
const SLICES = 5;

/** @type {import('../lib/experiment.js').Experiment} */
const connections = {
  name: 'connections',
  about: `Short HTTP connections (one request each) from ${LOAD.connections} clients to ${WORKERS} workers, then requests over kept connections.`,
  reference: NODE_RR,
  takesPart: () => true,
  metrics: {
    per_second: { title: 'short HTTP connections', unit: 'per second', chart: true },
    primary_us: { title: 'CPU of the primary per connection', unit: 'µs', digits: 1, chart: true },
    calm_primary_us: { title: `CPU of the primary per connection, ${SAME_RATE} per second offered to all`, unit: 'µs', digits: 1, chart: true },
    all_us: { title: 'CPU of all server processes per connection', unit: 'µs', digits: 1, chart: true },
    spread: { title: 'spread over the workers', unit: 'max / min', digits: 3 },
    p99_ms: { title: 'p99 of short connections', unit: 'ms', digits: 1 },
    keep_alive_per_second: { title: 'requests over keep-alive connections', unit: 'per second', chart: true },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'short connections/s against node rr', rival: 'rcluster rr', metric: 'per_second', of: 'ratio', againstRival: NODE_RR, atLeast: 1.6 },
    { text: 'short connections/s against node none', rival: 'rcluster rr', metric: 'per_second', of: 'ratio', againstRival: 'node none', atLeast: 1 },
    { text: 'primary CPU per connection against node rr', rival: 'rcluster rr', metric: 'primary_us', of: 'ratio', againstRival: NODE_RR, atMost: 0.2 },
    { text: 'all CPU per connection against node rr', rival: 'rcluster rr', metric: 'all_us', of: 'ratio', againstRival: NODE_RR, atMost: 0.5 },
    { text: 'all CPU per connection against node none', rival: 'rcluster rr', metric: 'all_us', of: 'ratio', againstRival: 'node none', atMost: 1 },
    { text: 'primary CPU per connection against the floor', rival: 'rcluster rr', metric: 'primary_us', of: 'ratio', againstRival: 'floor', atMost: 1.15 },
    { text: 'the same with as many offered to both', rival: 'rcluster rr', metric: 'calm_primary_us', of: 'ratio', againstRival: 'floor', atMost: 1.15 },
    { text: 'keep-alive requests/s against node rr', rival: 'rcluster rr', metric: 'keep_alive_per_second', of: 'ratio', againstRival: NODE_RR, atLeast: 0.99 },
    { text: 'spread over the workers, max / min', rival: 'rcluster rr', metric: 'spread', of: 'value', atMost: 1.01 },
    { text: 'failed requests', rival: 'rcluster rr', metric: 'failed', of: 'value', atMost: 0 },
  ],
  async *measure(rival, { programs, seconds }) {
    const server = await startServer(rival, { floor: programs.floor, workers: WORKERS });
    /** @param {Record<string, number | boolean>} options */
    const run = (options) => runLoad(programs.load, server.port, { ...options, sources: LOAD.sources });
    try {
      await run({ ...LOAD, seconds: seconds(1) });
      const cpu = new CpuMeter(server);
      const calmCpu = new CpuMeter(server);
      /** @type {Record<'short' | 'calm' | 'kept', import('../lib/load.js').LoadReport[]>} */
      const { short, calm, kept } = { short: [], calm: [], kept: [] };
      for (let slice = 0; slice < SLICES; slice++) {
        yield;
        short.push(await cpu.during(() => run({ ...LOAD, seconds: seconds(0.5) })));
        yield;
        calm.push(await calmCpu.during(() => run({ rate: SAME_RATE, seconds: seconds(0.4) })));
        // The floor closes after each answer.
        if (rival.kind === 'floor') continue;
        yield;
        kept.push(await run({ ...LOAD, seconds: seconds(0.4), 'keep-alive': true }));
      }
      const [shorts, calms, kepts] = [together(short), together(calm), together(kept)];
      return {
        per_second: shorts.requests / shorts.seconds,
        // Without a cluster the one process is no primary.
        primary_us: rival.kind === 'off' ? undefined : cpu.primary / shorts.requests,
        calm_primary_us: rival.kind === 'off' ? undefined : calmCpu.primary / calms.requests,
        all_us: cpu.all / shorts.requests,
        spread: server.workers.length > 1 ? spread(together([...short, ...calm]), server.workers) : undefined,
        p99_ms: shorts.latency_us.p99 / 1000,
        keep_alive_per_second: kept.length > 0 ? kepts.requests / kepts.seconds : undefined,
        failed: failures(shorts) + failures(calms) + failures(kepts),
        primary_threads_us: cpu.threads,
        short,
        calm,
        kept,
      };
    } finally {
      await server.stop();
    }
  },
};

module.exports = [connections];
