'use strict';

const { CpuMeter } = require('../lib/cpu.js');
const { startServer } = require('../lib/server.js');
const { runLoad, together, failures } = require('../lib/load.js');

const WORKERS = 2;
const LOAD = { connections: 64, sources: 64 };
/** All servers of a round are alive and take turns: so often each. */
const SLICES = 5;
/** Connections of each kind before it counts: V8 compiles what is called often while it is called, and that costs more than a header. */
const WARM_UP = 3000;
/** What senders say first. Each has a server of its own, so that all have served as much. @type {{ name: string, load: Record<string, number> }[]} */
const SENDERS = [
  { name: 'plain', load: {} },
  { name: 'v1', load: { proxy: 1 } },
  { name: 'v2', load: { proxy: 2 } },
];
/** When: with the connection, as HAProxy does, or after it is known to be one, as nginx does. @type {{ before: string, load: Record<string, boolean> }[]} */
const WHEN = [{ before: '', load: {} }, { before: 'late_', load: { late: true } }];

/** @type {import('../lib/experiment.js').Experiment} */
const proxied = {
  name: 'proxied',
  about: `Short HTTP connections from ${LOAD.connections} clients to ${WORKERS} workers that ask whom they are from, with a header of the PROXY protocol ahead of the request and without.`,
  takesPart: ({ id }) => ['rcluster rr', 'rcluster reuseport', 'before rr'].includes(id),
  metrics: {
    plain_us: { title: 'CPU of all server processes per connection', unit: 'µs', digits: 1 },
    late_plain_us: { title: 'the same, the request comes late', unit: 'µs', digits: 1 },
    v1: { title: 'with version 1 against without', unit: 'of 1', digits: 3, chart: true },
    v2: { title: 'with version 2 against without', unit: 'of 1', digits: 3, chart: true },
    late_v1: { title: 'with version 1 against without, late', unit: 'of 1', digits: 3, chart: true },
    late_v2: { title: 'with version 2 against without, late', unit: 'of 1', digits: 3, chart: true },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'CPU per connection with version 1 against without', rival: 'rcluster rr', metric: 'v1', of: 'value', atMost: 1.05 },
    { text: 'the same with version 2', rival: 'rcluster rr', metric: 'v2', of: 'value', atMost: 1.05 },
    { text: 'the same with version 1, late', rival: 'rcluster rr', metric: 'late_v1', of: 'value', atMost: 1.05 },
    { text: 'the same with version 2, late', rival: 'rcluster rr', metric: 'late_v2', of: 'value', atMost: 1.05 },
    { text: 'failed requests', rival: 'rcluster rr', metric: 'failed', of: 'value', atMost: 0 },
  ],
  async *measure(rival, { programs, seconds }) {
    const servers = await Promise.all(SENDERS.map(({ load: { proxy } }) =>
      startServer(rival, { floor: programs.floor, workers: WORKERS, script: 'proxied.js', env: { BENCH_PROXY_PROTOCOL: proxy ? '127.0.0.0/8' : '' } })));
    const all = WHEN.flatMap(({ before, load }) => SENDERS.map((sender, index) => {
      const server = servers[index];
      const run = (/** @type {{ seconds: number } | { requests: number }} */ limit) => runLoad(programs.load, server.port, { ...LOAD, ...load, ...sender.load, ...limit });
      return { name: before + sender.name, run, meter: new CpuMeter(server), reports: /** @type {import('../lib/load.js').LoadReport[]} */ ([]) };
    }));
    try {
      for (const { run } of all) await run({ requests: WARM_UP });
      for (let slice = 0; slice < SLICES; slice++) {
        // None is always behind the same one.
        for (const { run, meter, reports } of slice % 2 ? [...all].reverse() : all) {
          yield;
          reports.push(await meter.during(() => run({ seconds: seconds(0.4) })));
        }
      }
      const us = Object.fromEntries(all.map(({ name, meter, reports }) => [name, meter.all / together(reports).requests]));
      return {
        plain_us: us.plain,
        late_plain_us: us.late_plain,
        v1: us.v1 / us.plain,
        v2: us.v2 / us.plain,
        late_v1: us.late_v1 / us.late_plain,
        late_v2: us.late_v2 / us.late_plain,
        failed: all.reduce((sum, { reports }) => sum + failures(together(reports)), 0),
        us,
      };
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  },
};

module.exports = [proxied];
