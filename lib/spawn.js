'use strict';

// Starting a worker's process.

const childProcess = require('node:child_process');

const environment = require('./environment.js');
const errors = require('./errors.js');
const { binaryFile } = require('./native.js');
const { workerExecArgv } = require('./settings.js');

/**
 * Starts a worker that inherits `workerFd`. Bad settings throw what `child_process.fork` throws for them.
 *
 * @param {any} settings
 * @param {NodeJS.ProcessEnv | undefined} env
 * @param {number} workerFd
 * @returns {import('node:child_process').ChildProcess}
 */
function spawnWorker(settings, env, workerFd) {
  const execArgv = workerExecArgv({ settings });
  const { cwd, gid, serialization, uid, windowsHide } = settings;
  const options = { cwd, gid, serialization, uid, windowsHide, execArgv };
  validate(settings, options);
  const stdio = stdioWithChannel(settings);
  const place = stdio.indexOf('ipc');
  const workerEnv = environment.forWorker({ ...process.env, ...env }, place, binaryFile());
  const args = [...withoutEval(execArgv), `${settings.exec}`, ...(settings.args ?? [])];
  return childProcess.spawn(process.execPath, args, {
    ...options,
    shell: false,
    env: workerEnv,
    stdio: stdio.with(place, workerFd),
  });
}

/**
 * @param {any} settings
 * @returns {any[]}
 */
function stdioWithChannel({ silent, stdio }) {
  if (Array.isArray(stdio)) return stdio;
  const all = typeof stdio === 'string' ? stdio : silent ? 'pipe' : 'inherit';
  return all === 'inherit' ? [0, 1, 2, 'ipc'] : [all, all, all, 'ipc'];
}

/** What `stdio` may be when it is a string. */
const STDIO = ['ignore', 'inherit', 'overlapped', 'pipe'];

/**
 * Lets Node itself complain about bad settings: a fork without a channel is refused after everything else has been
 * looked at, and before anything has been started.
 *
 * @param {any} settings
 * @param {any} options
 */
function validate(settings, options) {
  const { exec, args, stdio } = settings;
  // `fork` would take it for its options.
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) {
    throw errors.invalidArgument('args', 'an instance of Array', args);
  }
  const channels = Array.isArray(stdio) ? stdio.filter((item) => item === 'ipc').length : 1;
  const isBad = channels !== 1 || (typeof stdio === 'string' && !STDIO.includes(stdio));
  try {
    childProcess.fork(exec, args, { ...options, stdio: isBad ? stdio : [0, 1, 2] });
  } catch (error) {
    const refused = /** @type {NodeJS.ErrnoException} */ (error).code === 'ERR_CHILD_PROCESS_IPC_REQUIRED';
    if (!refused || isBad) throw error;
  }
}

/**
 * As `child_process.fork` does: a script given on the command line is not for the worker.
 *
 * @param {string[]} execArgv
 */
function withoutEval(execArgv) {
  // @ts-expect-error: set by Node for `node -e`.
  const script = process._eval;
  const index = script == null ? -1 : execArgv.lastIndexOf(script);
  return index > 0 ? execArgv.toSpliced(index - 1, 2) : execArgv;
}

module.exports = { spawnWorker };
