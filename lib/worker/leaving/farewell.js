'use strict';

// A program's own way to end: what it does on SIGTERM or SIGINT is done when its connections are gone, and it ends when that is.

const os = require('node:os');

const { isInterval } = require('../../node/process.js');

/** In this order, unless one of them came. @type {NodeJS.Signals[]} */
const SIGNALS = ['SIGTERM', 'SIGINT'];

const nothing = () => {};

/**
 * Signals of which the program hears nothing for the time being. The process hears them: `onSignal` is called instead.
 *
 * @param {(signal: NodeJS.Signals) => void} onSignal
 */
function holdBack(onSignal) {
  const own = Object.getOwnPropertyDescriptor(process, 'emit');
  const { emit } = process;
  // What a signal calls is what `process.emit` is when the first listens for it. What the program emits itself is not held.
  process.emit = /** @type {any} */ (function held(/** @type {any} */ name, /** @type {any[]} */ ...args) {
    if (SIGNALS.includes(name)) onSignal(name);
    else Reflect.apply(emit, process, [name, ...args]);
    return true;
  });
  for (const signal of SIGNALS) process.on(signal, nothing);
  if (own) Object.defineProperty(process, 'emit', own);
  else Reflect.deleteProperty(process, 'emit');
}

/**
 * Whether the program does something on a signal.
 *
 * @param {NodeJS.Signals} signal
 */
const isHeard = (signal) => process.listeners(signal).some((listener) => listener !== nothing);

/**
 * The signal on which the program does something.
 *
 * @param {NodeJS.Signals | undefined} came The one that came, if one did.
 */
const signalToTell = (came) => [...(came ? [came] : []), ...SIGNALS].find(isHeard);

/**
 * Tells the program that it is to end. What it throws is an exception like any other.
 *
 * @param {NodeJS.Signals} signal
 * @returns {Promise<void>}
 */
function tell(signal) {
  return new Promise((resolve) => {
    setImmediate(() => {
      // There are libraries that look whether they are the only ones who listen.
      for (const each of SIGNALS) process.off(each, nothing);
      try {
        /** @type {any} */ (process).emit(signal, signal, os.constants.signals[signal]);
      } finally {
        resolve();
      }
    });
  });
}

/**
 * From now on a timer that repeats and was there before does not keep the process alive, once it has repeated: it is no work
 * that will be done some day.
 */
function ignoreIntervals() {
  const { AsyncResource, createHook, executionAsyncResource } = require('node:async_hooks');
  const now = new AsyncResource('RCLUSTERFAREWELL').asyncId();
  createHook({
    before(id) {
      if (id > now) return;
      const resource = /** @type {any} */ (executionAsyncResource());
      if (isInterval(resource)) resource.unref();
    },
  }).enable();
}

module.exports = { holdBack, ignoreIntervals, isHeard, signalToTell, tell };
