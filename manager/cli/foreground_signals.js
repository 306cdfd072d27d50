'use strict';

// What the signals to `rcluster run` mean.

/** SIGQUIT is what some engines and images send to end a container, and Control-\ in a terminal. */
const STOPS = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGQUIT']);

/**
 * @typedef {object} Asked
 * @property {boolean} toStop Whether it was asked to stop.
 * @property {NodeJS.Signals | undefined} killedBy The signal that came once more.
 * @property {(does: { stop: () => void, kill: () => void, reload: () => void, status: () => void }) => void} on Who does it.
 * @property {() => void} again What was asked for is asked for again: whoever heard of it may have died, or it was before anybody could do it.
 */

/**
 * Hears them from the first moment on: the kernel gives process 1 none that it does not listen to.
 *
 * @returns {Asked}
 */
function listen() {
  const { SAME, hasTerminal } = require('../../lib/supervisor/signals.js');
  let does = { stop() {}, kill() {}, reload() {}, status() {} };
  /** @type {number | undefined} */
  let stoppedAt;
  const hadTerminal = hasTerminal();
  /** @type {Asked} */
  const asked = {
    toStop: false,
    killedBy: undefined,
    on: (deeds) => void (does = deeds),
    again() {
      if (asked.toStop) does.stop();
      if (asked.killedBy) does.kill();
    },
  };
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      asked.toStop = true;
      does.stop();
    } else if (performance.now() - stoppedAt > SAME) {
      // A terminal and npm both send the first one.
      asked.killedBy = signal;
      does.kill();
    }
  };
  for (const signal of STOPS) process.on(signal, stop);
  // That our terminal was closed is no wish for a reload.
  process.on('SIGHUP', (signal) => (hadTerminal && !hasTerminal() ? stop(signal) : does.reload()));
  process.on('SIGUSR2', () => does.status());
  return asked;
}

module.exports = { listen };
