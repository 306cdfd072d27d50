'use strict';

// Odd programs, each with the built-in module and with rcluster: what it prints, in this order, and how it ends.

const fs = require('node:fs');
const path = require('node:path');
const { ROOT, startScript } = require('../helpers/run');

const folder = path.join(__dirname, 'strangers');

/**
 * @param {string} name Of a program.
 * @param {string[]} execArgv
 */
async function run(name, execArgv) {
  const app = startScript(path.join(folder, name), { execArgv });
  const exit = await app.waitForExit();
  return { exit, stdout: app.stdout, stderr: app.stderr };
}

test.each(fs.readdirSync(folder))('%s', async (name) => {
  const [first, ours] = await Promise.all([run(name, []), run(name, ['--require', ROOT])]);
  // Node's own module may still write to a worker that was killed, and throws then: it depends on how busy the machine is.
  let builtin = first;
  for (let tries = 0; tries < 5 && builtin.stderr.join().includes('write EPIPE'); tries++) builtin = await run(name, []);
  expect(ours).toEqual(builtin);
  expect(builtin).toEqual({ exit: { code: 0, signal: null }, stdout: expect.arrayContaining([expect.anything()]), stderr: [] });
});
