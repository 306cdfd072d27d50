'use strict';

// Values arrive as with Node's own module, or are refused with the same error, and their functions are called as often: generated
// values, the same ones with both modules. VALUES=1000000 in the environment for more of them than 10,000, SEED for others.

const { startScript } = require('./helpers/run');

const COUNT = Number(process.env.VALUES ?? 10_000);
const SEED = Number(process.env.SEED ?? 1);
/** ms: it takes half a minute for 10,000. */
const TIME = 120_000 + COUNT * 20;

/** @returns {Promise<string[]>} a line for each value */
async function run(side, serialization, { seed = SEED, count = COUNT, explain = false } = {}) {
  const options = { side, serialization, seed, count, explain };
  const script = startScript('__test__/fixtures/values.js', { env: { VALUES: JSON.stringify(options) } });
  const exit = await script.waitForExit({ timeout: TIME });
  expect({ exit, stderr: script.stderr }).toEqual({ exit: { code: 0, signal: null }, stderr: [] });
  return script.stdout;
}

test.each(['json', 'advanced'])('values arrive as with the built-in module: %s', async (serialization) => {
  const [builtin, ours] = await Promise.all([run('builtin', serialization), run('rcluster', serialization)]);
  expect(ours.length).toBeGreaterThan(COUNT * 0.9);
  expect(ours.length).toBe(builtin.length);
  const different = ours.findIndex((line, index) => line !== builtin[index]);
  // `explain` in the fixture says which value that is.
  expect([different, ours[different]]).toEqual([-1, undefined]);
}, 2 * TIME);
