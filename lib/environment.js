'use strict';

// How a worker learns that it is one: by its environment, of which nothing is left once it knows. The preload comes
// first in NODE_OPTIONS, so that it runs before anything else that the worker loads, and so that neither the
// command line nor `process.execArgv` shows it.

const path = require('node:path');

const PRELOAD = path.join(__dirname, 'load.js');
/** The number of the inherited descriptor, a colon, and the file of the native part. */
const WORKER = 'RCLUSTER_WORKER';

/** `--require` of the preload, quoted as NODE_OPTIONS wants it. */
const OPTION = `--require="${PRELOAD.replace(/[\\"]/g, '\\$&')}"`;

/** @type {{ fd: number, binary: string } | undefined} */
let inherited;

/**
 * What a worker's environment needs besides what its user gives it.
 *
 * @param {NodeJS.ProcessEnv} env The environment that the worker is to have.
 * @param {number} fd The number by which the worker inherits its channel.
 * @param {string} binary The file of the native part: the worker need not look for it.
 * @returns {NodeJS.ProcessEnv}
 */
function forWorker(env, fd, binary) {
  const options = env.NODE_OPTIONS;
  return { ...env, [WORKER]: `${fd}:${binary}`, NODE_OPTIONS: options ? `${OPTION} ${options}` : OPTION };
}

/**
 * Whether this process is a worker of ours. Removes what told so.
 *
 * @returns {boolean}
 */
function isOurWorker() {
  if (inherited) return true;
  const { env } = process;
  const value = env[WORKER];
  if (value === undefined) return false;
  delete env[WORKER];
  const options = env.NODE_OPTIONS ?? '';
  if (options === OPTION) delete env.NODE_OPTIONS;
  else if (options.startsWith(`${OPTION} `)) env.NODE_OPTIONS = options.slice(OPTION.length + 1);
  const [fd] = value.split(':', 1);
  inherited = { fd: Number(fd), binary: value.slice(fd.length + 1) };
  return true;
}

/** The number of the descriptor that this worker inherited. */
function workerFd() {
  return inherited?.fd ?? -1;
}

/** The file of the native part, as the primary found it; `undefined` in the primary. */
function binaryFile() {
  return inherited?.binary;
}

/**
 * The built-in module in the form that it has in a worker. It looks for this variable when it is first loaded.
 *
 * @returns {any}
 */
function requireAsWorker() {
  process.env.NODE_UNIQUE_ID = '0';
  try {
    return require('node:cluster');
  } finally {
    delete process.env.NODE_UNIQUE_ID;
  }
}

module.exports = { binaryFile, forWorker, isOurWorker, requireAsWorker, workerFd };
