'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { startExercise, oneOfEachKind } = require('../lib/exercise.js');
const { startServer } = require('../lib/server.js');
const { runLoad, together, failures } = require('../lib/load.js');

/** All servers of a round are alive and take turns: so often each. */
const SLICES = 5;

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
  async *measure(rival, { programs, seconds }) {
    const exercise = startExercise(rival, 'handles.js', { BENCH_SECONDS: String(seconds(0.15)) });
    const server = await startServer(rival, { floor: programs.floor, script: 'by_hand.js' });
    try {
      const load = { connections: 64 };
      await exercise.next();
      await runLoad(programs.load, server.port, { ...load, seconds: seconds(1) });
      /** @type {Record<string, number>[]} */
      const passings = [];
      const reports = [];
      for (let slice = 0; slice < SLICES; slice++) {
        yield;
        passings.push(await exercise.next());
        yield;
        reports.push(await runLoad(programs.load, server.port, { ...load, seconds: seconds(0.5) }));
      }
      const [passed, spent] = ['passed', 'seconds'].map((key) => passings.reduce((sum, passing) => sum + passing[key], 0));
      const report = together(reports);
      return { per_second: passed / spent, by_hand_per_second: report.requests / report.seconds, failed: failures(report), passings, reports };
    } finally {
      await exercise.stop();
      await server.stop();
    }
  },
};

module.exports = [handles];
