'use strict';

// Lines of logs on standard output and error, no faster than they are read there.

const { once } = require('node:events');

const { usage } = require('./words.js');

/** What the daemon calls the options that it refuses. @type {Record<string, string>} */
const OPTIONS = { lines: '--lines', since: '--since', grep: '--grep' };

/**
 * @typedef {import('../client').LogLine} Line
 * @typedef {import('../client').LogOptions} Query
 */

/**
 * Prints lines until there are no more, or for ever.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string[]} targets
 * @param {Query} query
 * @param {(line: Line) => string} print What is written for a line.
 */
async function show(manager, targets, query, print) {
  watchForReaders();
  await Promise.all(targets.map(async (target) => {
    try {
      for await (const lines of manager.logPieces(target, query)) await write(process.stdout, lines.map(print).join(''));
    } catch (error) {
      throw asUsage(/** @type {any} */ (error));
    }
  }));
}

/**
 * Writes what programs write as they write it: their errors to standard error.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string} target
 * @param {Query} query
 * @returns {Promise<{ ended: Promise<void> }>} Resolves when nothing is missed any more.
 */
async function copy(manager, target, query) {
  watchForReaders();
  // As their files are.
  const inJson = new Set((await manager.describe(target)).filter(({ logFormat }) => logFormat === 'json').map(({ name }) => name));
  const text = (/** @type {Line} */ { prefix = '', ...line }) => (inJson.has(line.app) ? `${JSON.stringify(line)}\n` : `${prefix}${line.msg}\n`);
  const pieces = manager.logPieces(target, query);
  const put = async (/** @type {Line[]} */ lines) => {
    for (const isError of [false, true]) {
      const own = lines.filter(({ stream }) => (stream === 'error') === isError);
      await write(isError ? process.stderr : process.stdout, own.map(text).join(''));
    }
  };
  const { value } = await pieces.next();
  const ended = (async () => {
    if (value) await put(value);
    for await (const lines of pieces) await put(lines);
  })();
  return { ended };
}

/** @param {NodeJS.WriteStream} stream @param {string} text */
async function write(stream, text) {
  if (text !== '' && !stream.write(text)) await once(stream, 'drain');
}

/** Whoever reads may go away at any time: then this process ends. */
function watchForReaders() {
  process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
}

/** @param {Error} error */
function asUsage(error) {
  const option = /^"(\w+)" must be /.exec(error.message)?.[1] ?? '';
  return Object.hasOwn(OPTIONS, option) ? usage(error.message.replace(`"${option}"`, OPTIONS[option])) : error;
}

module.exports = { copy, show };
