'use strict';

// What the signals to a service mean.

const fs = require('node:fs');
const tty = require('node:tty');

/** The same within this time (ms) is one and the same: a terminal and npm both send it. */
const SAME = 300;

/**
 * SIGTERM and SIGINT (and SIGQUIT for process 1) stop gracefully, a second one at once; SIGHUP reloads, or stops when it means that our terminal was closed;
 * SIGUSR2 writes the status to stderr.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor Emits `signal` with the signal and what it leads to.
 * @returns {() => void} Takes the handlers away.
 */
function handleSignals(supervisor) {
  /** @type {number | undefined} */
  let stoppedAt;
  const hadTerminal = hasTerminal();

  /** @param {NodeJS.Signals} signal */
  function stop(signal) {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      supervisor.emit('signal', signal, 'stop');
      void supervisor.stop();
    } else if (performance.now() - stoppedAt > SAME) {
      void supervisor.kill();
      supervisor.emit('signal', signal, 'kill');
    }
  }

  function reload() {
    // The default for whoever runs in a terminal; with `nohup` or in the background of none we go on.
    if (hadTerminal && !hasTerminal()) return stop('SIGHUP');
    supervisor.emit('signal', 'SIGHUP', 'reload');
    void supervisor.reload();
  }

  function status() {
    supervisor.emit('signal', 'SIGUSR2', 'status');
    process.stderr.write(`${JSON.stringify(supervisor.status(), null, 2)}\n`);
  }

  /** @type {[NodeJS.Signals, (signal: NodeJS.Signals) => void][]} */
  const handlers = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    // Engines send it where an image says so; the kernel gives process 1 no signal that it does not listen to.
    ...(process.pid === 1 ? [/** @type {[NodeJS.Signals, typeof stop]} */ (['SIGQUIT', stop])] : []),
    ['SIGHUP', reload],
    ['SIGUSR2', status],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/** Whether our output is for a terminal, and it is there. */
function hasTerminal() {
  if (![0, 1, 2].some((fd) => tty.isatty(fd))) return false;
  try {
    // The one that controls us: gone when it was closed.
    fs.closeSync(fs.openSync('/dev/tty', fs.constants.O_RDONLY | fs.constants.O_NOCTTY));
    return true;
  } catch {
    return false;
  }
}

module.exports = { SAME, handleSignals, hasTerminal };
