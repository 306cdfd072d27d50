'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { NODE_RR } = require('../lib/rivals.js');
const { startServer } = require('../lib/server.js');
const { canTrace, countCalls } = require('../lib/trace.js');

/** @type {import('../lib/experiment.js').Experiment} */
const idle = {
  name: 'idle',
  about: 'System calls per second of an HTTP server with 2 workers that nobody asks anything.',
  takesPart: ({ id, kind }) => id === NODE_RR || kind === 'rcluster',
  metrics: {
    primary: { title: 'system calls of the idle primary', unit: 'per second', digits: 2, chart: true },
    worker: { title: 'system calls of an idle worker', unit: 'per second', digits: 2, chart: true },
  },
  targets: [
    { text: 'system calls/s of the idle primary, more than node rr', rival: 'rcluster rr', metric: 'primary', of: 'difference', againstRival: NODE_RR, atMost: 0 },
    { text: 'system calls/s of an idle worker, more than node rr', rival: 'rcluster rr', metric: 'worker', of: 'difference', againstRival: NODE_RR, atMost: 0 },
  ],
  async prepare() {
    if (!canTrace()) throw new Error('strace is not installed, so the system calls cannot be counted');
  },
  async measure(rival, { programs, seconds }) {
    const server = await startServer(rival, { floor: programs.floor });
    try {
      // Node itself is busy for a while after it has started.
      await sleep(1000);
      const { perSecond, names } = await countCalls([server.primary, ...server.workers], seconds(4));
      const workers = server.workers.map((pid) => perSecond[pid]);
      return { primary: perSecond[server.primary], worker: Math.max(...workers), names };
    } finally {
      await server.stop();
    }
  },
};

module.exports = [idle];
