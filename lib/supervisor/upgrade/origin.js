'use strict';

// How this process was started, so that it can be started again as it would be now: by the name of Node and of the script as they were
// written, in the folder as it was named. `process.execPath`, `process.argv[1]` and `process.cwd()` are what those led to at the time.

const fs = require('node:fs');

/** @typedef {{ file: string, argv0?: string, args: string[], cwd: string }} Origin */

/** @returns {Origin} */
function origin() {
  const [file, ...args] = commandLine();
  return { file, args, cwd: folder() };
}

/** @returns {string[]} */
function commandLine() {
  try {
    const written = fs.readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1);
    // A program that has set `process.title` has written over it.
    const own = process.argv.slice(2);
    if (written.length >= own.length + 2 && own.every((text, index) => text === written[written.length - own.length + index])) return written;
  } catch {
    // No /proc.
  }
  return [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
}

function folder() {
  const cwd = process.cwd();
  const { PWD: named } = process.env;
  try {
    return named && fs.realpathSync(named) === cwd ? named : cwd;
  } catch {
    return cwd;
  }
}

module.exports = { origin };
