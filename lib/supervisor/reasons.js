'use strict';

// Why nobody can listen somewhere, and who has failed, in words.

/** @type {Record<string, string>} */
const REASONS = {
  EADDRINUSE: 'it is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  ENOENT: 'there is no such folder',
  ENOTFOUND: 'there is no such host',
  EMFILE: 'descriptors have run out',
};

/**
 * @param {string} code Such as `EADDRINUSE`.
 * @returns {string | undefined}
 */
const reasonOf = (code) => (Object.hasOwn(REASONS, code) ? REASONS[code] : undefined);

/**
 * A worker in a message.
 *
 * @param {number | undefined} pid Of its process, if that could be started.
 */
const workerOf = (pid) => (pid === undefined ? 'a worker' : `worker ${pid}`);

module.exports = { reasonOf, workerOf };
