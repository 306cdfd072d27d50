'use strict';

// Private members of Node's `events`: `captureRejections`, which an emitter asks for when it is made.

/**
 * A preload makes Node load its module before the program can set it: then what the program says holds, too.
 *
 * @param {any} cluster
 */
function captureAsToldLater(cluster) {
  if (process.mainModule !== undefined) return;
  const symbol = Object.getOwnPropertySymbols(cluster).find(({ description }) => description === 'kCapture');
  // What it has of its own is a copy of what its prototype has.
  if (symbol && cluster[symbol] === Object.getPrototypeOf(cluster)[symbol]) delete cluster[symbol];
}

module.exports = { captureAsToldLater };
