'use strict';

// `cluster.settings`, and what follows from them for a worker's process.

const errors = require('../errors.js');

const MIN_PORT = 1024;
const MAX_PORT = 65535;
const INSPECT = /--inspect(?:-brk|-port)?|--debug-port/;

let inspectPortOffset = 1;

/**
 * The settings that result from what they were and what is asked for.
 *
 * @param {import('node:cluster').ClusterSettings} before
 * @param {import('node:cluster').ClusterSettings} [options]
 * @returns {any}
 */
function merge(before, options) {
  const settings = {
    args: process.argv.slice(2),
    exec: process.argv[1],
    execArgv: process.execArgv,
    silent: false,
    ...before,
    ...options,
  };
  // Each process writes a profile of its own; in one file they would be unusable.
  if (someOption(settings.execArgv, '--prof') && !someOption(settings.execArgv, '--logfile=')) {
    settings.execArgv = [...settings.execArgv, '--logfile=v8-%p.log'];
  }
  return settings;
}

/**
 * Whether an option begins so. Takes what Node takes: numbers among the options, and what is no array at all.
 *
 * @param {any} execArgv
 * @param {string} start
 * @returns {boolean}
 */
function someOption(execArgv, start) {
  return Array.prototype.some.call(execArgv, (option) => String.prototype.startsWith.call(option, start));
}

/**
 * The options that Node gets for the next worker: those of the settings and, when the primary is being inspected, a
 * port of its own for the worker's inspector.
 *
 * @param {{ settings: any }} cluster Called so, that an error names the setting as Node's does.
 * @returns {string[]}
 */
function workerExecArgv(cluster) {
  const execArgv = [...cluster.settings.execArgv];
  const { inspectPort } = cluster.settings;
  if (inspectPort === null) throw errors.badPort('Port', null);
  if (isInspected(cluster.settings.execArgv)) execArgv.push(`--inspect-port=${nextInspectPort(inspectPort)}`);
  return execArgv;
}

/** @type {WeakMap<string[], boolean>} */
const inspected = new WeakMap();

/** @param {string[]} execArgv */
function isInspected(execArgv) {
  let is = inspected.get(execArgv);
  if (is === undefined) {
    is = Array.prototype.some.call(execArgv, (option) => INSPECT.test(option)) || INSPECT.test(process.env.NODE_OPTIONS ?? '');
    inspected.set(execArgv, is);
  }
  return is;
}

/** @param {number | (() => number) | undefined} inspectPort */
function nextInspectPort(inspectPort) {
  let port = inspectPort;
  if (typeof port === 'function') {
    port = port();
  } else if (port == null) {
    port = process.debugPort + inspectPortOffset++;
    if (port > MAX_PORT) port = port - MAX_PORT + MIN_PORT - 1;
  }
  if (typeof port !== 'number' && typeof port !== 'string') throw errors.badPort('Port', port);
  if (`${port}`.trim() === '' || +port !== +port >>> 0 || +port > MAX_PORT) throw errors.badPort('Port', port);
  return +port | 0;
}

module.exports = { merge, workerExecArgv };
