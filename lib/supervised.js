'use strict';

// What a supervised worker does besides its work: says when it is ready and what it died of, and leaves when asked.

const { Drain } = require('./drain.js');
const { load } = require('./native.js');
const { keepTail } = require('./tail.js');

/** How often (ms) a worker that is not ready looks whether a server with a socket of its own listens. */
const LOOK = 20;
/** Hooks are run when this part of the time is over, even if connections are still open. */
const HOOKS_AT = 0.8;

/**
 * @param {object} worker
 * @param {import('node:cluster').Worker} worker.worker
 * @param {any} worker.cluster
 * @param {import('./servers.js').Servers} worker.servers
 * @param {(message: object) => boolean} worker.send To the primary.
 * @param {() => Promise<void>} worker.runHooks
 * @param {{ ready: string, drainTimeout: number, crash: string, signals: boolean, move?: boolean }} options
 */
function supervise({ worker, cluster, servers, send, runHooks }, options) {
  /** @type {Drain | undefined} */
  let draining;
  let isReady = false;
  let crashed = false;
  let leaving = false;

  const stopTail = keepTail((text) => send({ act: 'last-words', text }));
  const stopLooking = options.ready === 'listening' ? watchForOwnListening(() => send({ act: 'own-listening' })) : () => {};
  process.on('uncaughtExceptionMonitor', (error) => {
    stopTail();
    if (!draining) send({ act: 'last-words', text: describe(error) });
  });
  // Should the primary die while this event loop hangs, nothing else will end it.
  load().endAfterParent(Math.ceil(options.drainTimeout / 1000) + 1);
  if (options.crash === 'drain') process.on('uncaughtException', onCrash);
  if (options.signals) leaveSignalsToPrimary();

  /** @param {unknown} error */
  function onCrash(error) {
    // Somebody else takes care of it.
    if (process.listenerCount('uncaughtException') > 1) return;
    process.stderr.write(`${describe(error)}\n`);
    // There is nothing to finish, and a start that has failed must look like one.
    if (!isReady && !draining) process.exit(1);
    crashed = true;
    if (!draining) send({ act: 'crashing', text: describe(error) });
  }

  /** The terminal, or a service manager, signals the whole group: what becomes of workers is the primary's to say. */
  function leaveSignalsToPrimary() {
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => {});
    // Without a primary there is nobody to ask.
    process.on('SIGTERM', () => send({ act: 'asked-to-leave', bySignal: true }) || process.exit(exitCode()));
  }

  /** The user may have decided for another one. */
  function exitCode() {
    return crashed ? 1 : process.exitCode;
  }

  /**
   * @param {number} timeout ms
   * @param {boolean} last There is nobody to give anything to.
   */
  async function drain(timeout, last) {
    if (draining) {
      if (last) draining.beLast();
      return;
    }
    draining = new Drain(servers, timeout, { last, move: options.move !== false });
    worker.exitedAfterDisconnect = true;
    try {
      cluster.emit('draining');
    } catch (error) {
      warn("A listener of 'draining' failed", error);
    }
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timeout * HOOKS_AT);
    });
    const empty = draining.run();
    await Promise.race([empty, late]);
    clearTimeout(timer);
    await runHooks();
    // Only the deadline ends what is still open.
    await empty;
    draining.closeServers();
    send({ act: 'drained', moved: draining.moved, finished: draining.finished });
    leave();
  }

  function leave() {
    leaving = true;
    if (!process.connected) process.exit(exitCode());
    process.once('disconnect', () => process.exit(exitCode()));
    process.disconnect();
  }

  return {
    /**
     * A message of the primary's.
     *
     * @param {any} message
     */
    onControl(message) {
      if (message.act === 'drain') {
        void drain(Number(message.timeout) || 0, message.last === true);
      } else if (message.act === 'nothing-comes') {
        draining?.nothingComes();
      } else if (message.act === 'ready') {
        isReady = true;
        stopTail();
        stopLooking();
      }
    },
    /** The primary has gone, if it was not us who left: finishes what it has, and ends. */
    onDisconnected() {
      if (leaving) return;
      setTimeout(() => process.exit(exitCode()), options.drainTimeout);
      void drain(options.drainTimeout, true);
      draining?.nothingComes();
    },
    /** `disconnect()` was called in this worker. Returns whether somebody is there to replace it. */
    askToLeave: () => send({ act: 'asked-to-leave' }),
  };
}

/** @param {unknown} error */
function describe(error) {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * @param {string} what
 * @param {unknown} error
 */
function warn(what, error) {
  process.emitWarning(`${what}: ${describe(error)}`);
}

/**
 * Servers that listen with `exclusive` or `reusePort` have sockets of their own, of which no primary hears.
 *
 * @param {() => void} tell
 */
function watchForOwnListening(tell) {
  const timer = setInterval(() => {
    if (!process.getActiveResourcesInfo().some((name) => /^(?:tcp|pipe)serverwrap$/i.test(name))) return;
    clearInterval(timer);
    tell();
  }, LOOK).unref();
  return () => clearInterval(timer);
}

module.exports = { supervise };
