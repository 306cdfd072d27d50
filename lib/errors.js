'use strict';

// Errors with Node's codes and Node's words, where Node has them.

const path = require('node:path');

/**
 * An error as Node makes it: the code is a property, and part of the first line of the stack.
 *
 * @template {Error} E
 * @param {new (message: string) => E} Base
 * @param {string} code
 * @param {string} message
 * @returns {E & { code: string }}
 */
function coded(Base, code, message) {
  const error = new Base(message);
  // Defined, not assigned: the prototype may be frozen.
  Object.defineProperty(error, 'name', { value: `${error.name} [${code}]`, configurable: true });
  void error.stack; // Computed now, while the name has the code.
  Reflect.deleteProperty(error, 'name');
  return Object.assign(error, { code });
}

/** Our own codes, where Node has none, and the classes of their errors. docs/errors.md and index.d.ts have the same (a test compares). */
const OURS = Object.freeze({
  ERR_RCLUSTER_BAD_OPTION: TypeError,
  ERR_RCLUSTER_CRASH_LOOP: Error,
  ERR_RCLUSTER_FORK: Error,
  ERR_RCLUSTER_HEALTH: Error,
  ERR_RCLUSTER_MALFORMED_MESSAGE: Error,
  ERR_RCLUSTER_NOT_READY: Error,
  ERR_RCLUSTER_RELOAD_FAILED: Error,
  ERR_RCLUSTER_SEAT_LISTEN: Error,
  ERR_RCLUSTER_STOPPED: Error,
  ERR_RCLUSTER_SUPERVISED: Error,
  ERR_RCLUSTER_UNSERIALIZABLE: TypeError,
  ERR_RCLUSTER_VERSION: Error,
  ERR_RCLUSTER_UPGRADE_FAILED: Error,
  ERR_RCLUSTER_UPGRADING: Error,
});

/**
 * @param {keyof typeof OURS} code
 * @param {string} message
 */
const ours = (code, message) => coded(OURS[code], code, message);

/**
 * What was received instead, in the words of the Node that runs: those of an error of its own about the value.
 *
 * @param {unknown} value
 * @returns {string}
 */
function received(value) {
  try {
    // Anything but a number, and anything but a string, is refused.
    if (typeof value === 'string') Buffer.alloc(/** @type {any} */ (value));
    else path.basename(/** @type {any} */ (value));
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    return message.slice(message.indexOf('Received '));
  }
  return '';
}

/**
 * @param {string} name
 * @param {string} expected Such as `of type object`.
 * @param {unknown} value
 */
function invalidArgument(name, expected, value) {
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument must be ${expected}. ${received(value)}`);
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function badPort(name, value) {
  return coded(RangeError, 'ERR_SOCKET_BAD_PORT', `${name} should be >= 0 and < 65536. ${received(value)}.`);
}

/**
 * The error of a failed system call.
 *
 * @param {number} errno Negative.
 * @param {string} syscall
 */
function system(errno, syscall) {
  const { getSystemErrorName } = require('node:util');
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall });
}

/**
 * The negative errno of what the native part throws, or `EIO` when there is none.
 *
 * @param {unknown} error
 * @returns {number}
 */
function errnoOf(error) {
  const os = require('node:os');
  const { errno, message = '' } = /** @type {NodeJS.ErrnoException} */ (error);
  if (typeof errno === 'number') return errno;
  return -Number(/\(os error (\d+)\)/.exec(message)?.[1] ?? os.constants.errno.EIO);
}

const channelClosed = () => coded(Error, 'ERR_IPC_CHANNEL_CLOSED', 'Channel closed');
const disconnected = () => coded(Error, 'ERR_IPC_DISCONNECTED', 'IPC channel is already disconnected');
const missingMessage = () => coded(TypeError, 'ERR_MISSING_ARGS', 'The "message" argument must be specified');
const invalidHandle = () => coded(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent');

/** @param {string} what */
const malformed = (what) => ours('ERR_RCLUSTER_MALFORMED_MESSAGE', `The channel was closed: ${what}`);

module.exports = {
  OURS,
  badPort,
  channelClosed,
  coded,
  disconnected,
  errnoOf,
  invalidArgument,
  invalidHandle,
  malformed,
  missingMessage,
  ours,
  received,
  system,
};
