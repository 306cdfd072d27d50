'use strict';

// What a supervised worker does besides its work: says when it is ready and what it died of, and leaves when asked.

const { load } = require('../../native.js');
const { activeHandles } = require('../../node/process.js');
const { keepTail } = require('./tail.js');

/** How often (ms) a worker that is not ready looks whether a server with a socket of its own listens. */
const LOOK = 20;
/** How long (ms) after it is ready such servers are still looked for: they may begin to listen later than those that have made it ready. */
const LATER = 10_000;
/** Hooks are run when this part of the time is over, even if connections are still open; and what the program does on SIGTERM. */
const HOOKS_AT = 0.8;
const FAREWELL_AT = 0.9;

// What is needed once only, and not for the start.
const drains = () => require('./drain.js');
const farewell = () => require('./farewell.js');

/**
 * @param {object} worker
 * @param {import('node:cluster').Worker} worker.worker
 * @param {any} worker.cluster
 * @param {import('../servers/servers.js').Servers} worker.servers
 * @param {(message: object) => boolean} worker.send To the primary.
 * @param {() => Promise<void>} worker.runHooks
 * @param {{ ready: string, drainTimeout: number, settleTime: number, crash: string, signals: boolean, instance: number, move?: boolean, keepAliveTimeout?: number }} options
 */
function supervise({ worker, cluster, servers, send, runHooks }, options) {
  /** @type {import('./drain.js').Drain | undefined} */
  let draining;
  /** The signal that came first. @type {NodeJS.Signals | undefined} */
  let signalled;
  /** Whether the program knows that it is to end. */
  let told = false;
  let isReady = false;
  let crashed = false;
  let leaving = false;

  Object.assign(worker, { instance: options.instance });
  servers.keepAliveTimeout = options.keepAliveTimeout;
  const stopTail = keepTail((text) => send({ act: 'last-words', text }));
  const stopLooking = options.ready === 'listening' ? watchForOwnListening(tellOwn) : () => {};
  process.on('uncaughtExceptionMonitor', (error) => {
    stopTail();
    if (!draining) send({ act: 'last-words', text: describe(error) });
  });
  // Should the primary die while this event loop hangs, nothing else will end it.
  load().endAfterParent(Math.ceil(options.drainTimeout / 1000) + 1);
  if (options.crash === 'drain') process.on('uncaughtException', onCrash);
  if (options.signals) leaveSignalsToPrimary();

  function ownServers() {
    const own = activeHandles().filter((handle) => handle instanceof require('node:net').Server && handle.listening && !servers.has(handle));
    for (const server of own) servers.setKeepAlive(server);
    return own;
  }

  /** @param {number} readyAt */
  function lookForLaterOnes(readyAt) {
    ownServers();
    const passed = performance.now() - readyAt;
    if (passed < LATER) setTimeout(lookForLaterOnes, LOOK + passed / 50, readyAt).unref();
  }

  /** Which servers have sockets of their own, of which the primary knows nothing. */
  function tellOwn() {
    const own = ownServers();
    send({ act: 'own-listening', addresses: own.map((server) => nameOf(server.address())).join(', ') });
    return own.length > 0;
  }

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
    for (const signal of ['SIGHUP', 'SIGUSR2']) process.on(signal, () => {});
    farewell().holdBack(onSignal);
  }

  /** @param {NodeJS.Signals} signal */
  function onSignal(signal) {
    signalled ??= signal;
    // Many a program sends itself the signal once more when all is done, to end of it.
    if (told && !farewell().isHeard(signal)) process.exit(exitCode());
    // Without a primary there is nobody to ask.
    if (signal === 'SIGTERM' && !leaving && !send({ act: 'asked-to-leave', bySignal: true })) process.exit(exitCode());
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
    const { Drain } = drains();
    draining = new Drain(servers, timeout, { last, move: options.move !== false });
    worker.exitedAfterDisconnect = true;
    try {
      cluster.emit('draining');
    } catch (error) {
      warn("A listener of 'draining' failed", error);
    }
    const start = performance.now();
    const until = (/** @type {number} */ part) => start + timeout * part - performance.now();
    const empty = draining.run();
    await atLatest(empty, until(HOOKS_AT));
    await runHooks();
    await atLatest(empty, until(FAREWELL_AT));
    // What a process that has thrown does on purpose is over.
    const signal = crashed ? undefined : farewell().signalToTell(signalled);
    if (signal) {
      // It may end at once.
      tellWhatBecame(draining);
      await farewell().tell(signal);
      told = true;
      if (options.signals) farewell().holdBack(onSignal);
    }
    // Only the deadline ends what is still open.
    await empty;
    tellWhatBecame(draining);
    if (signal) leaveWhenDone(draining);
    else leave(draining);
  }

  /** @param {import('./drain.js').Drain} drain */
  function tellWhatBecame({ moved, finished }) {
    send({ act: 'drained', moved, finished });
  }

  /**
   * The program has been told, and ends by itself, or when it has nothing left to do.
   *
   * @param {import('./drain.js').Drain} drained
   */
  function leaveWhenDone(drained) {
    farewell().ignoreIntervals();
    drained.unrefServers();
    process.channel?.unref();
    process.once('beforeExit', () => {
      leaving = true;
      process.exitCode = exitCode();
      drained.closeServers();
      if (process.connected) process.disconnect();
    });
  }

  /** @param {import('./drain.js').Drain} drained */
  function leave(drained) {
    leaving = true;
    drained.closeServers();
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
      } else if (message.act === 'last-call') {
        require('./last_call.js').makeLastCall(servers);
      } else if (message.act === 'nothing-comes') {
        draining?.nothingComes();
      } else if (message.act === 'ready') {
        isReady = true;
        // One that dies soon was not ready, and should have said why.
        setTimeout(stopTail, options.settleTime).unref();
        stopLooking();
        if (options.keepAliveTimeout !== undefined) lookForLaterOnes(performance.now());
        // With no descriptor left nothing could be loaded.
        setImmediate(drains);
        setImmediate(farewell);
      } else if (message.act === 'own-listening') {
        tellOwn();
      }
    },
    /** The primary has gone, if it was not us who left: finishes what it has, and ends. */
    onDisconnected() {
      if (leaving) return;
      setTimeout(() => process.exit(exitCode()), options.drainTimeout).unref();
      void drain(options.drainTimeout, true);
      draining?.nothingComes();
    },
    /** `disconnect()` was called in this worker. Returns whether somebody is there to replace it. */
    askToLeave: () => send({ act: 'asked-to-leave' }),
  };
}

/**
 * Resolves when something is done, or after so many ms.
 *
 * @param {Promise<void>} done
 * @param {number} time
 */
async function atLatest(done, time) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, time);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
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

/** @param {string | import('node:net').AddressInfo | null} address */
function nameOf(address) {
  if (address === null || typeof address === 'string') return `${address}`;
  return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/**
 * Servers that listen with `exclusive` or `reusePort` have sockets of their own, of which no primary hears.
 *
 * @param {() => boolean} tell Returns whether there was anything to tell.
 */
function watchForOwnListening(tell) {
  const start = performance.now();
  /** @type {NodeJS.Timeout} */
  let timer;
  const look = () => {
    const mayBe = process.getActiveResourcesInfo().some((name) => /^(?:tcp|pipe)serverwrap$/i.test(name));
    // One that never listens is not looked at so often.
    if (!mayBe || !tell()) timer = setTimeout(look, Math.min(1000, LOOK + (performance.now() - start) / 50)).unref();
  };
  timer = setTimeout(look, LOOK).unref();
  return () => clearTimeout(timer);
}

module.exports = { supervise };
