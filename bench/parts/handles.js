'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { runExercise, oneOfEachKind } = require('../lib/exercise.js');
const { startServer } = require('../lib/server.js');
const { runLoad, failures } = require('../lib/load.js');

/** @type {import('../lib/experiment.js').Experiment} */
const handles = {
  name: 'handles',
  about: 'Sockets passed by worker.send(message, socket): the passing alone, and a whole server that chooses its worker by hand.',
  reference: NODE_RR,
  takesPart: oneOfEachKind,
  metrics: {
    per_second: { title: 'socket handles passed', unit: 'per second', chart: true },
    by_hand_per_second: { title: 'connections of a server that sends each socket to a worker', unit: 'per second', chart: true },
    failed: { title: 'failed', unit: 'requests' },
  },
  targets: [
    { text: 'socket handles passed per second', rival: 'rcluster rr', metric: 'per_second', of: 'ratio', againstRival: NODE_RR, atLeast: 2 },
  ],
  async measure(rival, { programs, seconds }) {
    const env = { BENCH_SECONDS: String(seconds(1)) };
    const { per_second } = await runExercise(rival, 'handles.js', env);
    const server = await startServer(rival, { floor: programs.floor, script: 'by_hand.js' });
    try {
      const load = { connections: 64 };
      await runLoad(programs.load, server.port, { ...load, seconds: seconds(1) });
      const report = await runLoad(programs.load, server.port, { ...load, seconds: seconds(2) });
      return { per_second, by_hand_per_second: report.requests / report.seconds, failed: failures(report), report };
    } finally {
      await server.stop();
    }
  },
};

module.exports = [handles];
