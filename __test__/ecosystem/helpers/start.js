'use strict';

// Starts the programs in apps/. They know nothing of rcluster: it comes by --require, as an unmodified program gets it.
//
//   ECOSYSTEM_MODULE=built-in npx jest __test__/ecosystem
//
// runs all of them with Node's own module instead: what fails then is not rcluster's doing.

const path = require('node:path');
const { setupOnce } = require('./installed');
const { ROOT, startScript, ...helpers } = require('../../helpers/run');

const HERE = path.join(__dirname, '..');
const REPORT = path.join(__dirname, 'report.js');
const MODULE = process.env.ECOSYSTEM_MODULE ?? 'rcluster';

setupOnce();

/**
 * @param {string} name of a file in apps/
 * @param {import('../../helpers/run').ScriptOptions & { module?: 'rcluster' | 'built-in' }} [options]
 */
function startApp(name, { module = MODULE, execArgv = [], env, ...options } = {}) {
  return startScript(path.join('apps', name), {
    cwd: HERE,
    execArgv: [...(module === 'rcluster' ? ['--require', ROOT] : []), '--require', REPORT, ...execArgv],
    // Jest's own NODE_ENV is "test", which changes what some libraries do.
    env: { NODE_ENV: undefined, ...env },
    ...options,
  });
}

/**
 * Starts an app and waits until its workers listen.
 *
 * @param {string} name
 * @param {Parameters<typeof startApp>[1]} [options]
 * @returns {Promise<{ app: ReturnType<typeof startApp>, port: number }>}
 */
async function serve(name, options) {
  const app = startApp(name, options);
  const [, port] = await app.waitForLine(/^listening on (\d+)$/);
  expectModule(app, options?.module ?? MODULE);
  return { app, port: Number(port) };
}

/**
 * Fails unless every process of the app so far has the module that it should have.
 *
 * @param {{ stdout: string[] }} app
 * @param {string} [module]
 */
function expectModule(app, module = MODULE) {
  const reports = app.stdout.filter((line) => line.startsWith('cluster module: '));
  expect(reports.length).toBeGreaterThan(0);
  for (const report of reports) expect(report).toMatch(new RegExp(`: ${module}$`));
}

/** @returns {string[]} what the app has printed, without the reports of its module */
const output = (/** @type {{ stdout: string[] }} */ app) =>
  app.stdout.filter((line) => !line.startsWith('cluster module: '));

module.exports = { HERE, MODULE, ROOT, expectModule, output, serve, startApp, ...helpers };
