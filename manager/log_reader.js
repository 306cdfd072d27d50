'use strict';

// Lines of logs as the daemon sends them, and again from where they were when there is another daemon.

const { setTimeout: sleep } = require('node:timers/promises');

/** How long (ms) to wait before a daemon is looked for again. */
const AGAIN = 200;

/** @typedef {import('./client').LogLine} LogLine */

/**
 * Who is asked.
 *
 * @typedef {object} Source
 * @property {(url: string, isFirst: boolean) => Promise<import('node:http').IncomingMessage>} open Rejects when the daemon refuses.
 * @property {() => Promise<unknown>} revive Sees to it that there is a daemon, if it may.
 * @property {(error: any, isFirst: boolean) => boolean} isRefusal Whether it makes no sense to ask again.
 * @property {() => boolean} isClosed Whether nothing more is wanted.
 */

/**
 * Lines in the pieces in which they come. When it follows, the first piece may have none: what is written from then on is not missed.
 *
 * @param {Source} source
 * @param {string} target
 * @param {import('./client').LogOptions} [options]
 * @returns {AsyncGenerator<LogLine[], void, void>}
 */
async function* readLogs(source, target, { follow = false, signal, lines, since, grep, stream, instance } = {}) {
  /** Behind the last line of each log that has come. @type {Map<string, number>} */
  const positions = new Map();
  const wanted = { target, stream, instance, grep: pattern(grep) };
  let from = since === undefined ? undefined : time(since);
  for (let isFirst = true; ; isFirst = false) {
    const isLast = !follow || signal?.aborted === true;
    const known = [...positions].map(([id, position]) => `${id}:${position}`).join(',');
    const began = Date.now();
    try {
      const response = await source.open(`/v1/logs?${query({ ...wanted, follow: !isLast, since: from, lines: known ? undefined : lines, positions: true, after: known || undefined })}`, isFirst);
      yield* pieces(response, positions, isLast ? undefined : signal);
      if (isLast) return;
    } catch (error) {
      if (source.isRefusal(error, isFirst) && (isFirst || /** @type {any} */ (error).code !== 'ERR_RCLUSTER_NO_SUCH_TARGET')) throw error;
      // Half of an answer is no answer.
      if (isLast && !source.isClosed()) throw error;
    }
    if (source.isClosed()) return;
    // A log that is new meanwhile is read from here on.
    if (positions.size > 0) from = began;
    // What is there when it is enough still comes.
    if (signal?.aborted) continue;
    await sleep(AGAIN, undefined, { signal }).catch(() => undefined);
    if (!signal?.aborted) await source.revive();
  }
}

/**
 * @param {import('node:http').IncomingMessage} response
 * @param {Map<string, number>} positions
 * @param {AbortSignal} [signal]
 * @returns {AsyncGenerator<LogLine[], void, void>}
 */
async function* pieces(response, positions, signal) {
  const stop = () => response.destroy();
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  let rest = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const texts = `${rest}${chunk}`.split('\n');
      rest = texts.pop() ?? '';
      const told = texts.map((text) => JSON.parse(text));
      // Whoever stops within a piece does not come back.
      for (const one of told) {
        if ('positions' in one) for (const [id, position] of Object.entries(one.positions)) positions.set(id, position);
        else positions.set(one.log, one.position);
      }
      yield told.filter((one) => !('positions' in one)).map(({ log: _log, position: _position, ...line }) => line);
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    response.destroy();
  }
}

/** @param {Record<string, unknown>} parameters */
function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&');
}

/** @param {string | RegExp | undefined} grep */
const pattern = (grep) => (grep instanceof RegExp ? `${grep.ignoreCase ? '(?i)' : ''}${grep.source}` : grep);

/** @param {string | number | Date} since */
const time = (since) => (since instanceof Date ? since.getTime() : since);

module.exports = { readLogs };
