'use strict';

// The file of a Unix socket that workers listen on.

const fs = require('node:fs');

/**
 * Says whether a file is still the same.
 *
 * @param {string} file
 */
function socketIdentity(file) {
  const about = fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
  return about && [about.dev, about.ino, about.birthtimeNs].join('.');
}

/**
 * Closes the handle that has bound a file, and keeps the file. The handle would remove, by its path, whatever is there when it
 * is closed: another server's by then, or what a folder that has become a link leads to.
 *
 * @param {{ close(): void }} pipe
 * @param {string} file Its absolute path.
 * @returns {(() => void) | undefined} Removes the file if it is still the same. `undefined` when the handle has to keep it.
 */
function takeFile(pipe, file) {
  const aside = `${file}.${process.pid}`;
  try {
    fs.renameSync(file, aside);
  } catch {
    return undefined;
  }
  pipe.close();
  fs.renameSync(aside, file);
  return removeSocket(file);
}

/**
 * @param {string} file
 * @returns {() => void} Removes the file if it is still the same as now.
 */
function removeSocket(file) {
  const identity = socketIdentity(file);
  return () => {
    try {
      if (socketIdentity(file) === identity) fs.unlinkSync(file);
    } catch {
      // It cannot be removed: it stays, as with Node's own.
    }
  };
}

module.exports = { removeSocket, socketIdentity, takeFile };
