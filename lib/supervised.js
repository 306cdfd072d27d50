'use strict';

// What a supervised worker does besides its work: says when it is ready and what it died of, and leaves when asked.

const { Drain } = require('./drain.js');

/** How often (ms) a worker that is not ready looks whether a server with a socket of its own listens. */
const LOOK = 20;
/** How much (characters) of what a worker wrote is kept until it is ready. */
const TAIL = 2000;
/** Hooks are run when this part of the time is over, even if connections are still open. */
const HOOKS_AT = 0.8;

/**
 * @param {object} worker
 * @param {import('node:cluster').Worker} worker.worker
 * @param {any} worker.cluster
 * @param {import('./servers.js').Servers} worker.servers
 * @param {(message: object) => boolean} worker.send To the primary.
 * @param {() => Promise<void>} worker.runHooks
 * @param {{ ready: string, drainTimeout: number, crash: string, signals: boolean }} options
 */
function supervise({ worker, cluster, servers, send, runHooks }, options) {
  let draining = false;
  let exitCode = 0;

  const stopTail = keepTail((text) => send({ act: 'last-words', text }));
  const stopLooking = options.ready === 'listening' ? watchForOwnListening(() => send({ act: 'own-listening' })) : () => {};
  process.on('uncaughtExceptionMonitor', (error) => {
    if (!draining) send({ act: 'last-words', text: describe(error) });
  });
  if (options.crash === 'drain') process.on('uncaughtException', onCrash);
  if (options.signals) ignoreSignals();

  /** @param {unknown} error */
  function onCrash(error) {
    // Somebody else takes care of it.
    if (process.listenerCount('uncaughtException') > 1) return;
    process.stderr.write(`${describe(error)}\n`);
    exitCode = 1;
    if (!draining) send({ act: 'crashing', text: describe(error) });
  }

  /** The terminal, or a service manager, signals the whole group: what becomes of workers is the primary's to say. */
  function ignoreSignals() {
    for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
    process.on('SIGTERM', () => send({ act: 'asked-to-leave' }));
  }

  /**
   * @param {number} timeout ms
   * @param {boolean} alone
   */
  async function drain(timeout, alone) {
    if (draining) return;
    draining = true;
    worker.exitedAfterDisconnect = true;
    cluster.emit('draining');
    const start = new Drain(servers, timeout, alone);
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, timeout * HOOKS_AT);
    });
    const empty = start.run();
    const timeIsUp = await Promise.race([empty.then(() => false), late.then(() => true)]);
    clearTimeout(timer);
    await runHooks();
    // Only the deadline ends what is still open.
    if (timeIsUp && !alone) await empty;
    send({ act: 'drained', moved: start.moved, finished: start.finished });
    leave();
  }

  function leave() {
    if (!process.connected) process.exit(exitCode);
    process.once('disconnect', () => process.exit(exitCode));
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
        void drain(Number(message.timeout) || 0, false);
      } else if (message.act === 'ready') {
        stopTail();
        stopLooking();
      }
    },
    /** The primary has gone: finishes what it has, and ends. */
    onOrphaned() {
      setTimeout(() => process.exit(exitCode), options.drainTimeout).unref();
      void drain(options.drainTimeout, true);
    },
  };
}

/** @param {unknown} error */
function describe(error) {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * Keeps the end of what the process writes, for the case that it dies before it is ready.
 *
 * @param {(text: string) => void} tell
 */
function keepTail(tell) {
  let tail = '';
  const streams = [process.stdout, process.stderr];
  const writes = streams.map((stream) => stream.write);
  streams.forEach((stream, index) => {
    stream.write = /** @type {any} */ (
      function write(/** @type {any} */ chunk, /** @type {any[]} */ ...rest) {
        tail = (tail + chunk).slice(-TAIL);
        return Reflect.apply(writes[index], stream, [chunk, ...rest]);
      }
    );
  });
  const onExit = () => tail && tell(tail);
  process.prependListener('exit', onExit);
  return () => {
    process.off('exit', onExit);
    streams.forEach((stream, index) => {
      stream.write = writes[index];
    });
  };
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
