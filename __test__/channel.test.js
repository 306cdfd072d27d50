'use strict';

// `worker.send` and `process.send`: what they refuse, with which error, and what they return, call for call as the
// built-in module.

const { compare, runScenario } = require('./helpers/scenario');

/** Each is called on a worker, on its process, and within a worker on `process` and on `cluster.worker`. */
const CALLS = [
  'target.send()',
  'target.send(undefined)',
  'target.send(function named() {})',
  'target.send(() => {})',
  'target.send(class Some {})',
  "target.send(Symbol('s'))",
  'target.send(1n)',
  'target.send(10n ** 40n)',
  'target.send(null)',
  "target.send('')",
  'target.send(NaN)',
  'target.send(new Date(NaN))',
  "target.send('m', null, null)",
  "target.send('m', null, '')",
  "target.send('m', null, 'none')",
  "target.send('m', null, 0)",
  "target.send('m', null, NaN)",
  "target.send('m', null, 1)",
  "target.send('m', null, null, () => {})",
  "target.send('m', undefined, [])",
  "target.send('m', undefined, true)",
  "target.send('m', undefined, {}, 'no callback')",
  "target.send('m', () => {})",
  "target.send('m', null, () => {})",
  "target.send('m', 'handle')",
  "target.send('m', {})",
  "target.send('m', 7)",
  "target.send('m', process)",
  "target.send('m', new (require('node:net').BlockList)())",
  'target.send(undefined, {})',
  "target.send(Symbol('s'), {})",
  "target.send('m', null)",
  'const ring = {}; ring.ring = ring; return target.send(ring)',
  "target.send({ toJSON() { throw new RangeError('mine'); } })",
  "target.send({ get it() { throw new RangeError('mine'); } })",
  'target.send({ big: 1n })',
  'target.send({ call() {}, symbol: Symbol() })',
  "target.send(new Proxy({}, { ownKeys() { throw new TypeError('mine'); } }))",
];

const scenario = {
  async primary({ args: calls, cluster, forkReady, once, outcome, report }) {
    cluster.setupPrimary({ serialization: process.env.SERIALIZATION });
    const worker = await forkReady();
    for (const target of [worker, worker.process]) {
      for (const call of calls) report([call, outcome(() => new Function('require', 'target', call)(require, target))]);
    }
    worker.send('your turn');
    await once(worker, 'exit');
  },
  worker({ args: calls, cluster, outcome, report }) {
    process.on('message', (message) => {
      if (message !== 'your turn') return;
      for (const target of [process, cluster.worker]) {
        for (const call of calls) report([call, outcome(() => new Function('require', 'target', call)(require, target))]);
      }
      process.disconnect();
    });
    process.send('ready');
  },
};

/** A call without `return` gets one. */
const asFunctionBody = (call) => (call.includes('return') ? call : `return ${call}`);

test.each(['json', 'advanced'])('every argument has the effect that it has in Node (%s)', async (SERIALIZATION) => {
  const calls = CALLS.map(asFunctionBody);
  const { primary, worker, exit } = await compare(scenario, { args: calls, env: { SERIALIZATION } });
  expect(exit.code).toBe(0);
  expect(primary).toHaveLength(2 * CALLS.length);
  expect(worker).toHaveLength(2 * CALLS.length);

  const [byCall, inWorker] = [Object.fromEntries(primary), Object.fromEntries(worker)];
  const of = (call) => byCall[asFunctionBody(call)];
  expect(inWorker).toEqual(byCall);
  expect(of('target.send()').thrown).toMatchObject({
    name: 'TypeError',
    code: 'ERR_MISSING_ARGS',
    message: 'The "message" argument must be specified',
  });
  expect(of("target.send(Symbol('s'))").thrown.code).toBe('ERR_INVALID_ARG_TYPE');
  expect(of("target.send('m', null, 'none')").thrown.code).toBe('ERR_INVALID_ARG_TYPE');
  expect(of("target.send('m', {})").thrown.code).toBe('ERR_INVALID_HANDLE_TYPE');
  expect(of("target.send('')")).toEqual({ returned: 'true' });
});

test('a message without a JSON form is refused, where Node would end the receiver', async () => {
  const { primary, exit } = await runScenario({
    async primary({ describe, forkReady, once, report }) {
      const worker = await forkReady();
      try {
        worker.send({ toJSON() {} });
      } catch (error) {
        report(describe(error));
      }
      worker.send('still there?');
      report((await once(worker, 'message'))[0]);
      worker.disconnect();
    },
    worker() {
      process.on('message', (message) => process.send(message));
      process.send('ready');
    },
  });
  expect(exit.code).toBe(0);
  expect(primary[0]).toMatchObject({ name: 'TypeError', code: 'ERR_RCLUSTER_UNSERIALIZABLE' });
  expect(primary[1]).toBe('still there?');
});
