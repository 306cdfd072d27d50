'use strict';

// What verbs say: to whoever typed them on standard output, and what is worth knowing besides on standard error.

const manner = { silent: false, colors: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb', mini: false };

// Whoever read what we say may be gone: that is no failure of what was asked for.
process.stdout.on('error', () => {});

/** @param {string} text */
function print(text) {
  if (!manner.silent) process.stdout.write(`${text}\n`);
}

/** What was asked for, whether or not it is to be silent. @param {unknown} value */
function printJson(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
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
  if (!process.stderr.isTTY || manner.silent) return () => {};
  const began = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    process.stderr.write(`\r\u001b[K… ${Math.round((Date.now() - began) / 1000)} s`);
  }, 1000).unref();
  return () => {
    clearInterval(timer);
    if (shown) process.stderr.write('\r\u001b[K');
  };
}

module.exports = { fail, manner, notice, print, printJson, progress };
