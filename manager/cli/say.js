'use strict';

// What verbs say: to whoever typed them on standard output, and what is worth knowing besides on standard error.

// Standard output and error are opened when they are first needed: that takes as long as a file of ours does to load, and is better done
// while the daemon answers.

/** @type {NodeJS.WriteStream | undefined} */
let opened;

function output() {
  if (opened) return opened;
  opened = process.stdout;
  // Whoever read what we say may be gone: that is no failure of what was asked for.
  opened.on('error', () => {});
  return opened;
}

const manner = {
  silent: false,
  mini: false,
  /** Whether there are colours: said, or as standard output is. @type {boolean | undefined} */
  said: undefined,
  get colors() {
    return this.said ?? (output().isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb');
  },
};

/** Whatever was asked for, whether or not it is to be silent. @param {string} text */
function write(text) {
  output().write(text);
}

/** @param {string} text */
function print(text) {
  if (!manner.silent) write(`${text}\n`);
}

/** @param {unknown} value */
function printJson(value) {
  write(`${JSON.stringify(value)}\n`);
}

/** What was said by the way. @type {Set<string>} */
const noticed = new Set();

/** Said once, however often what was typed is looked at. @param {string} text */
function notice(text) {
  if (noticed.has(text)) return;
  noticed.add(text);
  if (!manner.silent) process.stderr.write(`rcluster: ${text}\n`);
}

/** @param {string} text */
function fail(text) {
  process.stderr.write(`rcluster: ${text}\n`);
  process.exitCode = 1;
}

/**
 * On a terminal it is seen that we wait, once that has taken a second.
 *
 * @returns {() => void} Ends it.
 */
function progress() {
  if (manner.silent) return () => {};
  const began = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    if (!process.stderr.isTTY) return clearInterval(timer);
    shown = true;
    process.stderr.write(`\r\u001b[K… ${Math.round((Date.now() - began) / 1000)} s`);
    return undefined;
  }, 1000).unref();
  return () => {
    clearInterval(timer);
    if (shown) process.stderr.write('\r\u001b[K');
  };
}

module.exports = { fail, manner, notice, output, print, printJson, progress, write };
