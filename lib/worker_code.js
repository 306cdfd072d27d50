'use strict';

// Loads the file that has all that a worker needs to start: compiled already, where its primary has left that (lib/primary/code_for_workers.js),
// which spares a tenth of a start.

const fs = require('node:fs');
const { Script } = require('node:vm');

/** By which number a worker inherits a file without a name: the text that was compiled, and what V8 has made of it. */
const VARIABLE = 'RCLUSTER_CODE';

/**
 * What a file's text evaluates to. Removes what told of the code.
 *
 * @param {string} file ASCII only.
 * @returns {any}
 */
function load(file) {
  const text = fs.readFileSync(file);
  const { [VARIABLE]: number } = process.env;
  let cachedData;
  if (number !== undefined) {
    delete process.env[VARIABLE];
    cachedData = take(Number(number), text);
  }
  // What another V8 has made, or one with other flags, is refused by V8: then it compiles the text.
  return new Script(text.toString('latin1'), { filename: file, cachedData }).runInThisContext();
}

/**
 * @param {number} fd
 * @param {Buffer} text
 * @returns {Buffer | undefined}
 */
function take(fd, text) {
  try {
    const is = fs.fstatSync(fd);
    // Whoever has started the worker may have closed it, and then it is somebody else's.
    if (!is.isFile() || is.nlink !== 0) return undefined;
    const code = Buffer.allocUnsafeSlow(is.size);
    const length = fs.readSync(fd, code, 0, is.size, 0);
    fs.closeSync(fd);
    // The file may have been replaced meanwhile, and V8 only looks whether its text is as long.
    const isOfText = length === is.size && code.subarray(0, text.length).equals(text);
    return isOfText ? code.subarray(text.length) : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { VARIABLE, load };
