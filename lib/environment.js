'use strict';

// How a worker learns that it is one: by a preload, which runs before anything else that the worker loads, and by a
// variable of which nothing is left once it knows. The preload is the first option of the command line, unless there is
// a NODE_OPTIONS, whose options Node looks at before: then it is the first of those. So a worker without NODE_OPTIONS
// stays without (its `--env-file` may have one), and `process.execArgv` shows nothing.

const path = require('node:path');

const PRELOAD = path.join(__dirname, 'preload.js');
/** The number of the inherited descriptor, a colon, and the file of the native part. */
const WORKER = 'RCLUSTER_WORKER';
/** With these Node would take a worker for one of its own. */
const NOT_FOR_WORKERS = new Set([WORKER, 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']);
/** Names of executables that take Node's options. Others may be programs with a Node inside, which do not. */
const NODE = /^node(js)?(-?v?\d[\d.]*)?$/;
/** What allows addons, after what has forbidden them. */
const ADDONS = '--addons';
const ALLOW_ADDONS = '--allow-addons';

/** What the built-in module has in a primary only. */
const OF_PRIMARY = 'workers settings SCHED_NONE SCHED_RR schedulingPolicy setupPrimary setupMaster fork disconnect'.split(' ');

/** @type {{ fd: number, binary: string } | undefined} */
let inherited;

/**
 * Options, quoted as NODE_OPTIONS wants them and as they are on the command line, that load a preload.
 *
 * @param {string} file
 */
const optionsFor = (file) => ({ quoted: `--require="${file.replace(/[\\"]/g, '\\$&')}"`, plain: `--require=${file}` });

/**
 * The preload of a worker, and that of one that may load no addons but ours.
 *
 * @param {string} folder
 */
const preloadsIn = (folder) => ['preload.js', 'preload_alone.js'].map((name) => optionsFor(path.join(folder, name)));

/** Of a worker: this very file comes from the folder that its preload is in. */
const PRELOADS = preloadsIn(__dirname);

/**
 * What a worker's process needs besides what its user gives it.
 *
 * @param {{ file: string, args: string[], envPairs: string[] }} process As `ChildProcess.prototype.spawn` takes it.
 * @param {number} fd The number by which the worker inherits its channel.
 * @param {string} binary The file of the native part: the worker need not look for it.
 * @param {boolean} alone Whether our addon is the only one that it may load.
 * @param {string} folder Where its preload is.
 * @returns {{ args: string[], envPairs: string[] }}
 */
function forWorker({ file, args, envPairs }, fd, binary, alone, folder) {
  const pairs = envPairs.filter((pair) => !NOT_FOR_WORKERS.has(nameOf(pair)));
  pairs.push(`${WORKER}=${fd}:${binary}`);
  const { plain, quoted } = preloadsIn(folder)[alone ? 1 : 0];
  const place = pairs.findIndex((pair) => nameOf(pair) === 'NODE_OPTIONS');
  const options = place < 0 ? '' : pairs[place].slice('NODE_OPTIONS='.length);
  if (options === '' && NODE.test(path.basename(file))) {
    return { args: [args[0], plain, ...args.slice(1)], envPairs: pairs };
  }
  pairs[place < 0 ? pairs.length : place] = `NODE_OPTIONS=${options === '' ? quoted : `${quoted} ${options}`}`;
  return { args, envPairs: pairs };
}

/** @param {string} pair */
const nameOf = (pair) => pair.slice(0, pair.indexOf('='));

/**
 * What must be added to a worker's options so that our addon loads where no other may; `undefined` where all may.
 *
 * @param {string[]} execArgv
 * @param {unknown} nodeOptions Of the environment, which may have anything.
 * @returns {string[] | undefined}
 */
function allowance(execArgv, nodeOptions) {
  if (!nodeOptions && execArgv.length === 0) return undefined;
  const options = typeof nodeOptions === 'string' ? [...nodeOptions.split(/\s+/), ...execArgv] : execArgv;
  const more = [];
  if (options.lastIndexOf('--no-addons') > options.lastIndexOf(ADDONS)) more.push(ADDONS);
  const isLimited = options.includes('--permission') || options.includes('--experimental-permission');
  if (isLimited && !options.includes(ALLOW_ADDONS)) more.push(ALLOW_ADDONS);
  return more.length > 0 ? more : undefined;
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
  const options = env.NODE_OPTIONS;
  for (const { quoted } of options ? PRELOADS : []) {
    if (options === quoted) delete env.NODE_OPTIONS;
    else if (options?.startsWith(`${quoted} `)) env.NODE_OPTIONS = options.slice(quoted.length + 1);
    // A tool has put its own before.
    else if (options?.includes(` ${quoted}`)) env.NODE_OPTIONS = options.replace(` ${quoted}`, '');
  }
  const [fd] = value.split(':', 1);
  inherited = { fd: Number(fd), binary: value.slice(fd.length + 1) };
  return true;
}

/** Removes the preload from `process.execArgv`: of a worker, and of a thread, which inherits those of its process. */
function hidePreload() {
  const { execArgv } = process;
  for (const { plain } of PRELOADS) if (execArgv.includes(plain)) execArgv.splice(execArgv.indexOf(plain), 1);
}

/** Removes what {@link allowance} has added. */
function hideAllowance() {
  const { execArgv } = process;
  for (const option of [ALLOW_ADDONS, ADDONS]) if (execArgv.at(-1) === option) execArgv.pop();
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
    return asWorker(require('node:cluster'));
  } finally {
    delete process.env.NODE_UNIQUE_ID;
  }
}

/**
 * A preload that came before ours (a tool's, or one of NODE_OPTIONS in an `--env-file`) may have loaded the module in
 * the form that it has in a primary.
 *
 * @param {any} cluster
 */
function asWorker(cluster) {
  if (cluster.isWorker) return cluster;
  for (const name of OF_PRIMARY) delete cluster[name];
  return Object.assign(cluster, { isWorker: true, isMaster: false, isPrimary: false });
}

module.exports = {
  PRELOAD,
  allowance,
  binaryFile,
  forWorker,
  hideAllowance,
  hidePreload,
  isOurWorker,
  requireAsWorker,
  workerFd,
};
