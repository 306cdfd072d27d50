'use strict';

// What the signals to a service mean.

/** The same signal within this time (ms) is the same one: a terminal and npm both send it. */
const SAME = 300;

/** @param {unknown} error */
const lineOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reloads; SIGUSR2 writes the status to stderr.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor
 * @param {object} on
 * @param {(text: string) => void} on.log
 * @param {(signal: NodeJS.Signals) => void} [on.forced] Called when a second signal ends it at once.
 * @returns {() => void} Takes the handlers away.
 */
function handleSignals(supervisor, { log, forced }) {
  let stoppedAt = 0;

  /** @param {NodeJS.Signals} signal */
  function stop(signal) {
    if (stoppedAt === 0) {
      stoppedAt = performance.now();
      log(`${signal}: finishing what is under way; once more to end at once`);
      void supervisor.stop();
    } else if (performance.now() - stoppedAt > SAME) {
      log(`${signal}: ending at once`);
      void supervisor.kill();
      forced?.(signal);
    }
  }

  /** @type {[NodeJS.Signals, (signal: NodeJS.Signals) => void][]} */
  const handlers = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGHUP', () => void supervisor.reload().catch((error) => log(lineOf(error)))],
    ['SIGUSR2', () => process.stderr.write(`${JSON.stringify(supervisor.status(), null, 2)}\n`)],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

module.exports = { handleSignals };
