'use strict';

// Why nobody can listen somewhere, in words.

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

module.exports = { reasonOf };
