'use strict';

// What was sent before leaves before the process ends, in whichever way it does.

const { beforeEnd } = require('../node/process.js');

/** How long (ms) a process that ends waits for a peer that does not read. */
const LAST_WRITE_TIME = 1000;

/** Milliseconds. Not `performance.now`: a worker that uses it for the first time loads ten modules of Node. */
function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** @typedef {{ writeOut(patience: number): void }} Open */

/** The channels of this process that are open. @type {Set<Open>} */
const channels = new Set();

/**
 * Writes what was sent before, as the process is about to end.
 *
 * @param {number} patience How long (ms) workers wait for a primary that does not read.
 */
function writeAll(patience) {
  const giveUpAt = channels.size > 0 ? now() + patience : 0;
  for (const channel of channels) channel.writeOut(Math.max(0, Math.ceil(giveUpAt - now())));
}

// What a tick has gathered is written then; what the kernel does not take at a natural end the native part looks after.
beforeEnd({ atExit: () => writeAll(LAST_WRITE_TIME), atSignal: () => writeAll(0) });

module.exports = { channels };
