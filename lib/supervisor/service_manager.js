'use strict';

// Our part in a service manager's protocols: sd_notify(3), sd_listen_fds(3), and being the first process of a container.

const { load } = require('../native.js');

const FIRST_FD = 3;
/** How long (ms) after a child has ended others may still be in line behind it. */
const REAP_AGAIN = 50;

/**
 * Tells the manager that started us what is going on, when there is one that wants to know.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor
 */
function notifyManager(supervisor) {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watchedPid } = process.env;
  // Workers have nothing to tell.
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name];
  if (!address) return;
  const tell = (/** @type {string[]} */ ...lines) => load().notify(address, lines.join('\n'));
  supervisor.once('ready', () => tell('READY=1', `STATUS=${supervisor.options.workers} workers serve`));
  supervisor.on('reloading', () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`));
  supervisor.on('reload', ({ error }) => tell('READY=1', `STATUS=${error ? 'the last reload failed, the old version serves' : 'reloaded'}`));
  supervisor.once('stopping', () => tell('STOPPING=1'));
  if (!(Number(watchdog) > 0) || (watchedPid && Number(watchedPid) !== process.pid)) return;
  const timer = setInterval(() => tell('WATCHDOG=1'), Number(watchdog) / 1000 / 2).unref();
  supervisor.once('stopped', () => clearInterval(timer));
}

/**
 * Listening sockets that the manager has opened for us. Each is closed for the processes that we start.
 *
 * @returns {number[]} Their descriptors.
 */
function inheritedSockets() {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = process.env;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) delete process.env[name];
  if (!count || Number(pid) !== process.pid) return [];
  const fds = Array.from({ length: Number(count) || 0 }, (_, index) => FIRST_FD + index);
  return fds.flatMap((fd) => {
    const copy = load().duplicateFd(fd);
    load().closeFd(fd);
    return copy >= 0 ? [copy] : [];
  });
}

/**
 * The first process of a container inherits every orphan in it, and has to collect them when they end.
 *
 * @param {() => number[]} children Our own, which Node collects.
 */
function reapOrphans(children) {
  if (process.pid !== 1) return;
  process.on('SIGCHLD', () => {
    load().reapOrphans(children());
    setTimeout(() => load().reapOrphans(children()), REAP_AGAIN).unref();
  });
}

module.exports = { inheritedSockets, notifyManager, reapOrphans };
