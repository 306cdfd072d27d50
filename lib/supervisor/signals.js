'use strict';

// What the signals to a service mean.

/** The same within this time (ms) is one and the same: a terminal and npm both send it. */
const SAME = 300;

/**
 * SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reloads; SIGUSR2 writes the status to stderr.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor Emits `signal` with the signal and what it leads to.
 * @returns {() => void} Takes the handlers away.
 */
function handleSignals(supervisor) {
  /** @type {number | undefined} */
  let stoppedAt;

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
    ['SIGHUP', reload],
    ['SIGUSR2', status],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

module.exports = { handleSignals };
