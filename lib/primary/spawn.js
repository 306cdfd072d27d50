'use strict';

// Starting a worker's process: by `child_process.fork`, as tools replace it, and with what it is given there. While it runs,
// the process that it starts gets our channel instead of Node's.

const childProcess = require('node:child_process');
const fs = require('node:fs');

const { folder } = require('../bundle.js');
const environment = require('../environment.js');
const errors = require('../errors.js');
const { binaryFile, load } = require('../native.js');
const { evalScript } = require('../node/process.js');
const { codeForWorker } = require('./code_for_workers.js');
const { VARIABLE } = require('../worker_code.js');
const { workerExecArgv } = require('./settings.js');

/** As Node's own module takes it when it is loaded. */
const { fork: atLoad } = childProcess;
/** A preload comes before tools that a program loads ahead of Node's module. */
const isPreload = process.mainModule === undefined;

/**
 * A process that has been started for a worker.
 *
 * @template T
 * @typedef {object} Started
 * @property {import('node:child_process').ChildProcess} process As `fork` has returned it.
 * @property {import('../native-types').Link} link
 * @property {T} opened What `open` has returned.
 */

/**
 * Starts a worker. Bad settings throw what `child_process.fork` throws for them.
 *
 * @template T
 * @param {any} settings
 * @param {NodeJS.ProcessEnv | undefined} env
 * @param {number} id
 * @param {(child: any, link: import('../native-types').Link, advanced: boolean) => T} open Makes the channel: before
 *   `fork` returns, so that a function in its place finds `send` and the events, as it would with Node's.
 * @returns {Started<T>}
 */
function spawnWorker(settings, env, id, open) {
  const { args, cwd, exec, gid, serialization, silent, stdio, uid, windowsHide } = settings;
  const execArgv = withoutEval(workerExecArgv({ settings }));
  // `fork` would take it for its options.
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) {
    throw errors.invalidArgument('args', 'an instance of Array', args);
  }
  /** @type {NodeJS.ProcessEnv} */
  const workerEnv = { ...process.env, ...env, NODE_UNIQUE_ID: `${id}` };
  const allowance = environment.allowance(execArgv, workerEnv.NODE_OPTIONS);
  if (allowance) execArgv.push(...allowance);
  /** @type {Map<any, { link: import('../native-types').Link, opened: T }>} */
  const started = new Map();
  const restore = replaceSpawn(`NODE_UNIQUE_ID=${id}`, allowance !== undefined, (child, link, advanced) => {
    started.set(child, { link, opened: open(child, link, advanced) });
  });
  const options = { cwd, env: workerEnv, serialization, silent, windowsHide, execArgv, stdio, gid, uid };
  /** @param {typeof atLoad} fork */
  const startBy = (fork) => {
    started.clear();
    try {
      // As a method: what is in its place may use `this`.
      const returned = Reflect.apply(fork, childProcess, [exec, args, { ...options }]);
      const one = theOneOf(started, returned);
      forget(started, one);
      return { process: returned, ...one };
    } catch (error) {
      forget(started);
      for (const child of started.keys()) child.kill('SIGKILL');
      throw error;
    }
  };
  try {
    return startBy(isPreload ? childProcess.fork : atLoad);
  } catch (error) {
    // A test's stub, say, that came later and starts nothing: Node's own module would not have heard of it.
    if (!isPreload || childProcess.fork === atLoad || /** @type {any} */ (error).code !== 'ERR_RCLUSTER_FORK') throw error;
    return startBy(atLoad);
  } finally {
    restore();
  }
}

/**
 * Nobody else will close what belongs to processes that are not the worker.
 *
 * @param {Map<any, { link: import('../native-types').Link }>} started
 * @param {object} [one] That is.
 */
function forget(started, one) {
  for (const [child, other] of started) if (other !== one) child.once('exit', () => other.link.close());
}

/** There are no descriptors for a worker's link; `cause` says which have run out. */
class LinkError extends Error {}

function newLink() {
  try {
    return new (load().Link)();
  } catch (error) {
    throw new LinkError('a worker could not be given its channel', { cause: error });
  }
}

/**
 * As long as `restore` is not called, a process that is started with a channel and the mark of the worker in its
 * environment inherits our channel. Others, which a tool may start by the way, are none of our business.
 *
 * @param {string} mark
 * @param {boolean} alone
 * @param {(child: any, link: import('../native-types').Link, advanced: boolean) => void} onStarted
 * @returns {() => void}
 */
function replaceSpawn(mark, alone, onStarted) {
  // Where `fork` itself looks it up.
  const prototype = /** @type {any} */ (childProcess.ChildProcess).prototype;
  const { spawn: before } = prototype;
  let active = true;
  /** @this {any} @param {any} options */
  function spawn(options) {
    const isOurs = active && hasOneChannel(options?.stdio) && options.envPairs?.includes(mark);
    if (!isOurs) return Reflect.apply(before, this, arguments);
    const link = newLink();
    let result;
    try {
      result = spawnWith(before, this, options, alone, link.workerFd);
    } catch (error) {
      link.close();
      throw error;
    } finally {
      link.spawned();
    }
    onStarted(this, link, options.serialization === 'advanced');
    return result;
  }
  prototype.spawn = spawn;
  return () => {
    active = false;
    // What a tool has put in its place meanwhile stays, and leads to the one before by ours.
    if (prototype.spawn === spawn) prototype.spawn = before;
  };
}

/** @param {any} stdio Two channels are an error, which Node tells. */
function hasOneChannel(stdio) {
  return Array.isArray(stdio) && stdio.filter((item) => item === 'ipc').length === 1;
}

/**
 * @param {(this: any, options: any) => unknown} before
 * @param {any} child
 * @param {any} options
 * @param {boolean} alone
 * @param {number} workerFd
 */
function spawnWith(before, child, options, alone, workerFd) {
  // Node leaves holes out, and so do the numbers.
  const stdio = options.stdio.filter(() => true);
  const place = stdio.indexOf('ipc');
  // A channel is never one of the three that every library writes to: it gets another number, and /dev/null that one.
  const isStandard = place < 3;
  if (isStandard) {
    stdio[place] = 'ignore';
    while (stdio.length < 3) stdio.push(undefined);
    stdio.push(workerFd);
  } else {
    stdio[place] = workerFd;
  }
  const fd = isStandard ? stdio.length - 1 : place;
  const code = codeForWorker(options.file);
  if (code >= 0) stdio.push(code);
  const changes = environment.forWorker(options, fd, binaryFile(), alone, folder());
  if (code >= 0) changes.envPairs.push(`${VARIABLE}=${stdio.length - 1}`);
  let result;
  try {
    result = before.call(child, { ...options, ...changes, stdio });
  } finally {
    if (code >= 0) fs.closeSync(code);
  }
  // What can be seen of it afterwards is what was asked for.
  child.spawnargs = options.args;
  if (code >= 0) child.stdio?.pop();
  if (isStandard) child.stdio?.pop();
  return result;
}

/**
 * Which of the processes that were started is the worker.
 *
 * @template V
 * @param {Map<any, V>} started
 * @param {any} returned By `fork`, or by what is in its place.
 * @returns {V}
 */
function theOneOf(started, returned) {
  // What is in its place may have put something before the process.
  const only = started.size === 1 && typeof returned?.on === 'function' ? [...started.values()][0] : undefined;
  const one = started.get(returned) ?? only;
  if (one) return one;
  // It is not a worker, and would be a primary that forks in its turn.
  if (returned instanceof childProcess.ChildProcess && started.size === 0) returned.kill('SIGKILL');
  throw errors.ours(
    'ERR_RCLUSTER_FORK',
    'What is in the place of child_process.fork must start the process with the environment and the "ipc" that it is given, ' +
      `and return it. ${errors.received(returned)}`,
  );
}

/**
 * As `child_process.fork` does: a script given on the command line is not for the worker.
 *
 * @param {string[]} execArgv
 */
function withoutEval(execArgv) {
  const script = evalScript();
  const index = script == null ? -1 : execArgv.lastIndexOf(script);
  return index > 0 ? execArgv.toSpliced(index - 1, 2) : execArgv;
}

module.exports = { LinkError, spawnWorker };
