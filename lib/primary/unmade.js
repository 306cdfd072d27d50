'use strict';

// A worker's process that could not even be tried: descriptors had run out. As with Node's own, `fork` gives a worker all
// the same, which emits `error` soon.

const { ChildProcess } = require('node:child_process');
const EventEmitter = require('node:events');

const errors = require('../errors.js');
const { unstarted } = require('../node/process.js');

/**
 * @param {number} errno Negative.
 * @returns {any} Like a child process that has not been started. Its channel is closed.
 */
function unmadeProcess(errno) {
  // Not by its constructor: the handle that makes would take a `kill` for one of whatever number its memory holds.
  const child = /** @type {any} */ (Object.setPrototypeOf(new EventEmitter(), ChildProcess.prototype));
  Object.assign(child, {
    ...unstarted(),
    connected: false,
    exitCode: null,
    killed: false,
    signalCode: null,
    spawnfile: process.execPath,
    ...closedChannel(child),
  });
  process.nextTick(() => {
    child.exitCode = errno;
    child.emit('error', Object.assign(errors.system(errno, `spawn ${process.execPath}`), { path: process.execPath, spawnargs: [] }));
  });
  return child;
}

/**
 * What a child process has that has lost its channel: to be able to send to it is taken for granted.
 *
 * @param {any} child
 */
function closedChannel(child) {
  return {
    /**
     * @param {unknown} _message
     * @param {unknown[]} rest
     */
    send(_message, ...rest) {
      const callback = rest.find((one) => typeof one === 'function');
      const error = errors.channelClosed();
      if (typeof callback === 'function') process.nextTick(callback, error);
      else process.nextTick(() => child.emit('error', error));
      return false;
    },
    disconnect: () => void child.emit('error', errors.disconnected()),
  };
}

module.exports = { closedChannel, unmadeProcess };
