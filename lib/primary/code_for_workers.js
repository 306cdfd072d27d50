'use strict';

// The code that workers begin with, compiled once by their primary (lib/worker_code.js takes it).

const fs = require('node:fs');
const path = require('node:path');

const { FOLDER, folder } = require('../bundle.js');

const MEMORY = '/dev/shm';
/** O_TMPFILE: a file that never gets a name. Not among Node's constants; with O_DIRECTORY, which differs between processors. */
const WITHOUT_NAME = 0o20000000;
/** What V8 has been told to do with all code. */
const SET_ALREADY = /--(?:no-?)?lazy\b/;

let forks = 0;
/** A text, and what V8 has made of it; `null` where there is none to be had. @type {Buffer[] | null | undefined} */
let code;

/**
 * Compiled code for the next worker. None for the first one: making it takes longer than it spares one worker.
 *
 * @param {string} executable The worker's.
 * @returns {number} A descriptor, which the caller must close; -1 without.
 */
function codeForWorker(executable) {
  // Another executable has another V8. In lib/ it is many files.
  if (executable !== process.execPath || folder() !== FOLDER) return -1;
  if (++forks === 1 || code === null) return -1;
  try {
    return leave((code ??= compile(path.join(FOLDER, 'worker.js'))));
  } catch {
    // No such memory, no room, no descriptors. It is not tried again for each worker.
    code = null;
    return -1;
  }
}

/**
 * Compiles a file whole: most of what a worker needs is in functions, which are otherwise compiled when they are first called.
 *
 * @param {string} file
 * @returns {Buffer[]} Its text, and what V8 has made of it.
 */
function compile(file) {
  if (SET_ALREADY.test(`${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS}`)) throw new Error('this flag is not ours to set');
  const v8 = require('node:v8');
  const { Script } = require('node:vm');
  const text = fs.readFileSync(file);
  let script;
  v8.setFlagsFromString('--no-lazy');
  try {
    script = new Script(text.toString('latin1'), { filename: file });
  } finally {
    v8.setFlagsFromString('--lazy');
  }
  // With the flags as they were: V8 compares them with the worker's.
  return [text, script.createCachedData()];
}

/**
 * A copy for one worker alone, so that none can write into what another one runs.
 *
 * @param {Buffer[]} parts
 */
function leave(parts) {
  const fd = fs.openSync(MEMORY, WITHOUT_NAME | fs.constants.O_DIRECTORY | fs.constants.O_RDWR, 0o600);
  try {
    const length = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (fs.writevSync(fd, parts, 0) !== length) throw new Error('no room');
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

module.exports = { codeForWorker };
