'use strict';

// The file that has the primary's process id: `kill -HUP "$(cat app.pid)"`.

const fs = require('node:fs');
const path = require('node:path');

const { startedAt } = require('./process_figures.js');

/** A file may be so much (ms) older than it seems, as may a process. */
const TOLERANCE = 2000;

/**
 * Writes it, whole or not at all, and removes it when this process ends, if it is still ours by then. Throws an error whose message
 * says in one line why it could not be written.
 *
 * @param {string} name
 * @param {{ isHeir?: boolean }} [how] Whether it is taken over from a process that is still there.
 */
function writePidFile(name, { isHeir = false } = {}) {
  const file = path.resolve(name);
  const own = `${file}.${process.pid}.new`;
  try {
    fs.writeFileSync(own, `${process.pid}\n`);
    put(own, file, isHeir);
  } catch (error) {
    throw new Error(`the pid file "${name}" cannot be written: ${reasonOf(error)}`, { cause: error });
  } finally {
    fs.rmSync(own, { force: true });
  }
  process.on('exit', () => remove(file));
}

/**
 * @param {string} own
 * @param {string} file
 * @param {boolean} isHeir
 */
function put(own, file, isHeir) {
  try {
    // Unlike a rename, this fails when there is one.
    fs.linkSync(own, file);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    // Some file systems have no links.
    if (code !== 'EEXIST' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
    const owner = ownerOf(file);
    if (owner !== undefined && !isHeir) throw new Error(`process ${owner}, which has written it, is running`, { cause: error });
    fs.renameSync(own, file);
  }
}

/**
 * The process that has written the file, if it still runs.
 *
 * @param {string} file
 */
function ownerOf(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return undefined;
  if (!stat.isFile()) throw new Error('it exists and is no file');
  const text = fs.readFileSync(file, 'latin1').trim();
  // Nobody wants a script to be overwritten.
  if (!/^\d*$/.test(text)) throw new Error('it exists and has something else in it');
  const pid = Number(text);
  // In a container we have had the same number before.
  if (text === '' || pid === process.pid) return undefined;
  const start = startedAt(pid);
  // Process ids are used again: the one that wrote it was there before the file.
  return start !== undefined && start < stat.mtimeMs + TOLERANCE ? pid : undefined;
}

/** @param {string} file */
function remove(file) {
  try {
    if (fs.readFileSync(file, 'latin1').trim() === `${process.pid}`) fs.unlinkSync(file);
  } catch {
    // It has gone, or is not ours to remove any more.
  }
}

/** @param {any} error */
function reasonOf({ code, message }) {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a folder';
    default:
      return message;
  }
}

module.exports = { writePidFile };
