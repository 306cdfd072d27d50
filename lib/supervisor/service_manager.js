'use strict';

// Our part in a service manager's protocols: sd_notify(3), sd_listen_fds(3), and being the first process of a container.

const { ChildProcess } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');

const { load } = require('../native.js');

const FIRST_FD = 3;
/** How long (ms) after a child has ended others may still be in line behind it. */
const REAP_AGAIN = 50;
/** How long (ms) until a socket that the manager could not take is passed on again. */
const KEEP_AGAIN = 100;
/** How long (ms) a stop may take besides what is waited for. */
const TO_END = 5000;
const VARIABLES = /** @type {const} */ ([
  'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'FDSTORE', 'RCLUSTER_READS',
]);

/** @typedef {Partial<Record<typeof VARIABLES[number], string>>} Manager What the manager has said. */

/**
 * What the manager that started us says. Workers shall not think that it said so to them.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Manager}
 */
function withoutManagerVariables(env) {
  const said = Object.fromEntries(VARIABLES.map((name) => [name, env[name]]));
  for (const name of VARIABLES) delete env[name];
  return said;
}

/**
 * Tells the manager what is going on, when it wants to know.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor
 * @param {Manager} manager
 * @param {boolean} isReady Whether it is ready already.
 * @returns {() => void} From then on somebody else tells that the service lives.
 */
function notifyManager(supervisor, { NOTIFY_SOCKET: address, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watchedPid }, isReady) {
  if (!address) return () => {};
  const tell = (/** @type {string[]} */ ...lines) => load().notify(address, lines.join('\n'));
  const ready = () => tell('READY=1', `STATUS=${supervisor.status().workers.length} workers serve`);
  if (isReady) ready();
  else supervisor.once('ready', ready);
  supervisor.once('waiting', () => tell('STATUS=no worker listens yet'));
  supervisor.on('reloading', () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`));
  supervisor.on('reload', ({ error }) => {
    // A reload that was given up because we stop leaves us stopping.
    if (supervisor.status().state === 'running') {
      tell('READY=1', `STATUS=${error ? 'the last reload failed, the old version serves' : 'reloaded'}`);
    }
  });
  const { drainTimeout, stopDelay } = supervisor.options;
  supervisor.once('stopping', () => tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${(stopDelay + drainTimeout + TO_END) * 1000}`));
  if (!(Number(watchdog) > 0) || (watchedPid && Number(watchedPid) !== process.pid)) return () => {};
  if (isReady) tell('WATCHDOG=1');
  const timer = setInterval(() => tell('WATCHDOG=1'), Number(watchdog) / 1000 / 2).unref();
  const stop = () => clearInterval(timer);
  supervisor.once('stopped', stop);
  return stop;
}

/**
 * Listening sockets that the manager has opened for us, or kept for us. Each is closed for the processes that we start.
 *
 * @param {Manager} manager
 * @returns {{ fd: number, name: string }[]} Their descriptors and names.
 */
function inheritedSockets({ LISTEN_FDS: count, LISTEN_PID: pid, LISTEN_FDNAMES: names = '' }) {
  if (!count || Number(pid) !== process.pid) return [];
  const known = names.split(':');
  const fds = Array.from({ length: Number(count) || 0 }, (_, index) => FIRST_FD + index);
  return fds.flatMap((fd, index) => {
    const copy = load().duplicateFd(fd);
    load().closeFd(fd);
    return copy >= 0 ? [{ fd: copy, name: known[index] ?? '' }] : [];
  });
}

/**
 * Where the manager keeps sockets for the primary after us. One that keeps none takes no notice.
 *
 * @param {Manager} manager
 * @returns {import('../primary/port.js').Store | undefined}
 */
function socketStore({ NOTIFY_SOCKET: address }) {
  if (!address) return undefined;
  /** Those that it does not have yet. @type {Map<string, NodeJS.Timeout>} */
  const waiting = new Map();
  const keep = (/** @type {string} */ name, /** @type {number} */ fd, /** @type {boolean} */ poll) => {
    const said = load().notify(address, ['FDSTORE=1', `FDNAME=${name}`, ...(poll ? [] : ['FDPOLL=0'])].join('\n'), [fd]);
    // What others of this user have on the way counts as well, and there may be too much of it (ETOOMANYREFS).
    if (said < 0) waiting.set(name, setTimeout(keep, KEEP_AGAIN, name, fd, poll).unref());
    else waiting.delete(name);
  };
  return {
    keep,
    remove(name) {
      clearTimeout(waiting.get(name));
      waiting.delete(name);
      load().notify(address, `FDSTOREREMOVE=1\nFDNAME=${name}`);
    },
  };
}

/** Whether orphans are collected already: once for the life of the process. */
let reaping = false;

/**
 * The first process of a container inherits every orphan in it, and has to collect them when they end.
 *
 * @param {() => number[]} workers Our own children, which Node collects.
 */
function reapOrphans(workers) {
  if (process.pid !== 1 || reaping) return;
  reaping = true;
  const children = childrenOfNode();
  const reap = () => load().reapOrphans([...workers(), ...children()]);
  process.on('SIGCHLD', () => {
    reap();
    setTimeout(reap, REAP_AGAIN).unref();
  });
}

/**
 * Processes that are started with `child_process` from now on, and have not ended.
 *
 * @returns {() => number[]}
 */
function childrenOfNode() {
  /** @type {Set<ChildProcess>} */
  const children = new Set();
  diagnostics.subscribe('child_process', (message) => {
    const { process: child } = /** @type {{ process: unknown }} */ (message);
    if (!(child instanceof ChildProcess)) return;
    children.add(child);
    child.once('exit', () => children.delete(child));
    child.once('error', () => child.pid === undefined && children.delete(child));
  });
  return () => [...children].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}

module.exports = { inheritedSockets, notifyManager, reapOrphans, socketStore, withoutManagerVariables };
