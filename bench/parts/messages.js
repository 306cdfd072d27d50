'use strict';

const { NODE_RR } = require('../lib/rivals.js');
const { runExercise, startExercise, oneOfEachKind } = require('../lib/exercise.js');

/** Both servers of a round are alive and take turns: so often each. */
const SLICES = 6;

/** The names are those of EXERCISES in servers/messages.js. */
const ECHOES = {
  echo_1: { title: 'messages echoed, one at a time', atLeast: 1.3 },
  echo_10: { title: 'messages echoed, 10 per round', atLeast: 1.8 },
  echo_100: { title: 'messages echoed, 100 per round', atLeast: 3 },
  json_1mb: { title: '1 MB JSON messages echoed', atLeast: 2 },
  advanced_1mb: { title: '1 MB Buffers in advanced messages echoed', atLeast: 1.5 },
  advanced_text_1mb: { title: '1 MB texts in advanced messages echoed', atLeast: 1.4 },
  advanced_10: { title: 'advanced messages echoed, 10 per round', atLeast: 1.5 },
};

/** @type {import('../lib/experiment.js').Experiment} */
const echoes = {
  name: 'messages',
  about: 'Messages that the primary sends to a worker and gets back, per second. A round is sent in one tick.',
  reference: NODE_RR,
  takesPart: oneOfEachKind,
  metrics: Object.fromEntries(
    Object.entries(ECHOES).map(([key, { title }]) => [key, { title, unit: 'per second', chart: true }]),
  ),
  targets: Object.entries(ECHOES).map(([metric, { title, atLeast }]) => {
    return { text: `${title}, per second`, rival: 'rcluster rr', metric, of: 'ratio', againstRival: NODE_RR, atLeast };
  }),
  async *measure(rival, { seconds }) {
    /** @type {Record<string, number>} */
    const figures = {};
    const problems = [];
    for (const [name, { title }] of Object.entries(ECHOES)) {
      try {
        figures[name] = yield* perSecond(rival, { BENCH_MESSAGES: name, BENCH_SECONDS: String(seconds(0.25)) });
      } catch (error) {
        problems.push(`${title}: ${/** @type {Error} */ (error).message}`);
      }
    }
    return { ...figures, problems };
  },
};

/**
 * One exercise in slices, of which the first warms up.
 * @param {import('../lib/rivals.js').Rival} rival
 * @param {NodeJS.ProcessEnv} env
 * @returns {AsyncGenerator<void, number>}
 */
async function* perSecond(rival, env) {
  const exercise = startExercise(rival, 'messages.js', env);
  try {
    await exercise.next();
    let [messages, spent] = [0, 0];
    for (let slice = 0; slice < SLICES; slice++) {
      yield;
      const done = await exercise.next();
      messages += done.messages;
      spent += done.seconds;
    }
    return messages / spent;
  } finally {
    await exercise.stop();
  }
}

/** @type {import('../lib/experiment.js').Experiment} */
const big = {
  name: 'big message',
  about: 'One message of 256 MB with `advanced` serialization: until the worker says that it has it, and the peaks of resident memory.',
  reference: NODE_RR,
  takesPart: oneOfEachKind,
  metrics: {
    ms: { title: '256 MB message', unit: 'ms', chart: true },
    both_mb: { title: 'peak memory of both processes', unit: 'MB', chart: true },
    primary_mb: { title: 'peak memory of the primary', unit: 'MB' },
    worker_mb: { title: 'peak memory of the worker', unit: 'MB' },
  },
  targets: [
    { text: '256 MB advanced message, time', rival: 'rcluster rr', metric: 'ms', of: 'ratio', againstRival: NODE_RR, atMost: 0.7 },
    { text: '256 MB advanced message, peak memory', rival: 'rcluster rr', metric: 'both_mb', of: 'ratio', againstRival: NODE_RR, atMost: 1 },
  ],
  async measure(rival) {
    const { ms, primary_mb, worker_mb } = await runExercise(rival, 'messages.js', { BENCH_MESSAGES: 'big' });
    return { ms, both_mb: primary_mb + worker_mb, primary_mb, worker_mb };
  },
};

module.exports = [echoes, big];
