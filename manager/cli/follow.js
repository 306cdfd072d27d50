'use strict';

// What programs write from now on: their log files, as they grow.

const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { asPm2 } = require('./pm2_shape.js');

/** How often (ms) it is looked for a file that is not there, or not any more. */
const LOOK = 200;

/**
 * Copies what apps write to standard output and error until `signal` says that it is enough. Resolves when nothing is missed any more.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string[]} targets
 * @param {AbortSignal} [signal] Never, when there is none.
 * @param {(file: string) => number} [from] Where in a file to begin: at its end by default.
 * @returns {Promise<{ ended: Promise<unknown> }>}
 */
async function follow(manager, targets, signal = new AbortController().signal, from = lengthOf) {
  const meant = new Set();
  for (const target of targets) for (const { name, namespace = 'default' } of await manager.describe(target)) meant.add(`${namespace}:${name}`);
  const processes = (await asPm2(manager)).filter(({ pm2_env: { name, namespace } }) => meant.has(`${namespace}:${name}`));
  const out = new Set(processes.map(({ pm2_env: env }) => env.pm_out_log_path));
  const error = new Set(processes.map(({ pm2_env: env }) => env.pm_err_log_path));
  return { ended: Promise.all([...[...out].map((file) => tail(file, process.stdout, signal, from(file))), ...[...error].map((file) => tail(file, process.stderr, signal, from(file)))]) };
}

/** @param {string} file */
const lengthOf = (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/**
 * @param {string} file
 * @param {NodeJS.WritableStream} output
 * @param {AbortSignal} signal
 * @param {number} position
 */
async function tail(file, output, signal, position) {
  let ino = fs.statSync(file, { throwIfNoEntry: false })?.ino ?? 0;
  const copy = () => {
    const now = fs.statSync(file, { throwIfNoEntry: false });
    if (!now) return;
    // Another file under this name, or one that was emptied.
    if (now.ino !== ino || now.size < position) ({ ino } = now, position = 0);
    if (now.size === position) return;
    const fd = fs.openSync(file, 'r');
    const bytes = Buffer.alloc(now.size - position);
    position += fs.readSync(fd, bytes, 0, bytes.length, position);
    fs.closeSync(fd);
    output.write(bytes);
  };
  copy();
  const watcher = watch(path.dirname(file), copy);
  const timer = setInterval(copy, LOOK);
  if (!signal.aborted) await once(signal, 'abort');
  clearInterval(timer);
  watcher?.close();
  copy();
}

/**
 * @param {string} folder
 * @param {() => void} changed
 */
function watch(folder, changed) {
  try {
    return fs.watch(folder, changed);
  } catch {
    // It is looked for by the clock.
    return undefined;
  }
}

module.exports = { follow };
