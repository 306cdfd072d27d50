'use strict';

/** Two ways of being busy. Neither yields to the event loop. */

/**
 * Takes CPU time of this process, however long that lasts on a shared core.
 * @param {number} milliseconds
 */
function burn(milliseconds) {
  const begin = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(begin);
    if (user + system >= milliseconds * 1000) return;
  }
}

/**
 * Blocks for a time on the clock.
 * @param {number} milliseconds
 */
function block(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

module.exports = { burn, block };
