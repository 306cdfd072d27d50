'use strict';

// What was sent before leaves before the process ends, in whichever way it does.

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

/**
 * Calls `write` before functions of `process` do what ends it. These cannot be removed or emitted, as listeners of `exit` can
 * be. What a tick has gathered is written then; what the kernel does not take at a natural end the native part looks after.
 *
 * @param {any} process
 */
function writeBeforeEnd({ _fatalException: onException, reallyExit, _kill: kill, abort }) {
  /** @type {[string, Function, (...args: any[]) => any][]} */
  const ways = [
    ['reallyExit', reallyExit, (...args) => (writeAll(LAST_WRITE_TIME), Reflect.apply(reallyExit, process, args))],
    ['abort', abort, (...args) => (writeAll(0), Reflect.apply(abort, process, args))],
    // Perhaps itself.
    ['_kill', kill, (...args) => (writeAll(0), Reflect.apply(kill, process, args))],
    [
      '_fatalException',
      onException,
      (...args) => {
        const survives = Reflect.apply(onException, process, args);
        if (!survives) writeAll(LAST_WRITE_TIME);
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

writeBeforeEnd(process);

module.exports = { channels };
