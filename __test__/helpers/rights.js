'use strict';

// What this machine lets a test do: each is `undefined`, or what is forbidden, for `testUnless` (needs.js), which looks itself whether
// the program is there.

const { spawnSync } = require('node:child_process');
const { find } = require('./programs');

/**
 * @param {string} what is forbidden, in words
 * @param {string} program
 * @param {string[]} args that try it
 */
function unlessAllowed(what, program, args) {
  if (find(program) === undefined) return undefined;
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0 ? undefined : what;
}

/** Looking at the system calls of a process. */
const tracing = () => unlessAllowed('strace may not trace a process', 'strace', ['-qq', '-o', '/dev/null', 'true']);

/** Namespaces of its own. @param {string[]} args of unshare */
const namespaces = (args) => unlessAllowed('no process may have these namespaces of its own', 'unshare', [...args, 'true']);

/** Mounting a file system, in a namespace of its own. */
const mounting = () => unlessAllowed('no file system may be mounted', 'unshare', ['-Urm', 'mount', '-t', 'tmpfs', 'none', '/mnt']);

module.exports = { mounting, namespaces, tracing };
