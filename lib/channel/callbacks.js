'use strict';

// Who wants to know when a message has been written, and in which context that is told.

/** @typedef {(error: Error | null) => void} SendCallback */

/**
 * A message whose sender wants to know when it has been written.
 *
 * @typedef {object} Waiting
 * @property {SendCallback} callback
 * @property {number} mark It is written when so many bytes are.
 * @property {Error | null | undefined} outcome Not known yet: `undefined`.
 * @property {import('node:async_hooks').AsyncResource | undefined} context That of `send`, when its tick was over before.
 */

/**
 * The tick of a `send` is over: tells its sender what has become of it, or keeps the context in which that is to be told.
 *
 * @param {Waiting} waiting
 */
function tellOrWait(waiting) {
  if (waiting.outcome !== undefined) waiting.callback(waiting.outcome);
  // Not by `require`: a tool may send a message for each module that is loaded.
  else waiting.context = new (process.getBuiltinModule('node:async_hooks').AsyncResource)('RCLUSTERWRITE');
}

/**
 * @param {Waiting[]} done
 * @param {Error | null} outcome
 */
function settle(done, outcome) {
  for (const waiting of done) {
    waiting.outcome = outcome;
    // Otherwise its tick is still to come, and tells.
    if (waiting.context) process.nextTick(() => waiting.context?.runInAsyncScope(waiting.callback, undefined, outcome));
  }
}

module.exports = { settle, tellOrWait };
