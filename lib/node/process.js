'use strict';

// Private members of `process`, of child processes and of timers.

/** Servers, sockets and the like that keep this process alive, or might. @returns {any[]} */
// @ts-expect-error: not in the types.
const activeHandles = () => process._getActiveHandles();

/** Whether this process is ending: it has no more ticks. */
const isExiting = () => /** @type {any} */ (process)._exiting === true;

/** The script of `node -e`, if this is one. @returns {string | undefined} */
// @ts-expect-error: not in the types.
const evalScript = () => process._eval;

/**
 * Makes another process open its debugger.
 *
 * @param {number} pid
 */
// @ts-expect-error: not in the types.
const debugProcess = (pid) => process._debugProcess(pid);

/**
 * Calls a function before what ends this process. That cannot be removed or emitted, as listeners of `exit` can be.
 *
 * @param {object} ways
 * @param {() => void} ways.atExit Before it exits, or dies of an exception.
 * @param {() => void} ways.atSignal Before it aborts, or sends a signal, perhaps to itself.
 */
function beforeEnd({ atExit, atSignal }) {
  const { _fatalException: onException, reallyExit, _kill: kill, abort } = /** @type {any} */ (process);
  /** @type {[string, Function, (...args: any[]) => any][]} */
  const ways = [
    ['reallyExit', reallyExit, (...args) => (atExit(), Reflect.apply(reallyExit, process, args))],
    ['abort', abort, (...args) => (atSignal(), Reflect.apply(abort, process, args))],
    // Perhaps itself.
    ['_kill', kill, (...args) => (atSignal(), Reflect.apply(kill, process, args))],
    [
      '_fatalException',
      onException,
      (...args) => {
        const survives = Reflect.apply(onException, process, args);
        if (!survives) atExit();
        return survives;
      },
    ],
  ];
  for (const [name, way, instead] of ways) {
    if (typeof way !== 'function') continue;
    Object.defineProperty(instead, 'name', { value: way.name, configurable: true });
    /** @type {any} */ (process)[name] = instead;
  }
}

/**
 * A child process emits `close` when its streams have ended, and one thing more.
 *
 * @param {any} child Anything else needs nothing to close.
 * @param {1 | -1} change
 */
function needsToClose(child, change) {
  if (typeof child._closesNeeded === 'number') child._closesNeeded += change;
}

/**
 * That has ended.
 *
 * @param {any} child
 */
function hasClosed(child) {
  if (typeof child._closesNeeded === 'number' && ++child._closesGot === child._closesNeeded) {
    child.emit('close', child.exitCode, child.signalCode);
  }
}

/** What a child process has that was never started. */
const unstarted = () => ({ _closesNeeded: 1, _closesGot: 0, _handle: null });

/**
 * Whether an async resource is a timer that repeats.
 *
 * @param {any} resource
 */
const isInterval = (resource) => Boolean(resource._repeat) && typeof resource.unref === 'function';

module.exports = {
  activeHandles,
  beforeEnd,
  debugProcess,
  evalScript,
  hasClosed,
  isExiting,
  isInterval,
  needsToClose,
  unstarted,
};
