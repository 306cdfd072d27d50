'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { runExercise, oneOfEachKind } = require('../lib/exercise.js');
const { median } = require('../lib/stats.js');

const FORKS = 10;

/** @type {import('../lib/experiment.js').Experiment} */
const fork = {
  name: 'fork',
  about: `From fork() to the worker's 'listening' event: the median of ${FORKS} workers, one after the other.`,
  reference: NODE_RR,
  takesPart: oneOfEachKind,
  metrics: {
    ms: { title: "fork() to 'listening'", unit: 'ms', digits: 1, chart: true },
    cpu_ms: { title: 'CPU of the worker until then', unit: 'ms', digits: 1 },
  },
  targets: [
    { text: "fork() to 'listening'", rival: 'rcluster rr', metric: 'ms', of: 'ratio', againstRival: NODE_RR, atMost: 1.05 },
  ],
  async measure(rival) {
    const { ms, cpuMs } = await runExercise(rival, 'fork.js', { BENCH_FORKS: String(FORKS) });
    return { ms: median(ms), cpu_ms: median(cpuMs), each: ms };
  },
};

module.exports = [fork];
