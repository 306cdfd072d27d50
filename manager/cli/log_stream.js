'use strict';

// Lines of logs as the daemon sends them, and again from where they were when there is another daemon.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { ManagerError } = require('../client.js');
const { usage } = require('./words.js');

/** How long (ms) to wait before a daemon is looked for again. */
const AGAIN = 200;

const SOCKET = 'daemon.sock';

/** What the daemon calls the options that it refuses. @type {Record<string, string>} */
const OPTIONS = { lines: '--lines', since: '--since', grep: '--grep' };

/**
 * What is asked for: parameters of `GET /v1/logs`.
 *
 * @typedef {{ lines?: string, since?: string, grep?: string, stream?: string, follow: boolean }} Query
 */

/**
 * A line, as the daemon tells it.
 *
 * @typedef {object} Line
 * @property {string | null} ts
 * @property {string} app
 * @property {number | null} instance
 * @property {number | null} pid
 * @property {'out' | 'error' | null} stream
 * @property {string} msg
 * @property {string} [prefix] What stands before it in the file.
 */

/**
 * Prints lines until there are no more, or for ever.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string[]} targets
 * @param {Query} query
 * @param {(line: Line) => string} print What is written for a line.
 */
async function follow(manager, targets, query, print) {
  const output = writer();
  await Promise.all(targets.map((target) => followOne(manager, target, query, print, output)));
}

/**
 * @param {import('../client.js').Manager} manager
 * @param {string} target
 * @param {Query} query
 * @param {(line: Line) => string} print
 * @param {ReturnType<typeof writer>} output
 */
async function followOne(manager, target, query, print, output) {
  /** Behind the last line of each log that was printed. @type {Map<string, number>} */
  const positions = new Map();
  let since = query.since;
  for (let isFirst = true; ; isFirst = false) {
    const after = [...positions].map(([id, position]) => `${id}:${position}`).join(',');
    const parameters = { ...query, target, since, lines: isFirst ? query.lines : undefined, positions: 'true', after: after || undefined };
    try {
      await read(manager, parameters, output, (line) => {
        if ('positions' in line) {
          for (const [id, position] of Object.entries(line.positions)) positions.set(id, position);
          return;
        }
        const { log, position, ...rest } = line;
        output.write(print(rest));
        positions.set(log, position);
      });
      if (!query.follow) return;
    } catch (error) {
      if (error instanceof ManagerError && isRefusal(error) && (isFirst || error.code !== 'ERR_RCLUSTER_NO_SUCH_TARGET')) throw asUsage(error);
      // Half of an answer is no answer.
      if (!query.follow) throw error;
    }
    // A log that is new meanwhile is shown from here on.
    since = String(Date.now());
    await sleep(AGAIN);
    // One that has ended in order takes its socket away. Whoever wanted that does not want another one for that somebody looks on.
    if (fs.existsSync(path.join(manager.home, SOCKET))) await manager.ensureDaemon().catch(() => undefined);
  }
}

/** @param {InstanceType<typeof ManagerError>} error */
const isRefusal = ({ code }) => code !== 'ERR_RCLUSTER_NO_DAEMON';

/** @param {InstanceType<typeof ManagerError>} error */
function asUsage(error) {
  const option = /^"(\w+)" must be /.exec(error.message)?.[1] ?? '';
  return Object.hasOwn(OPTIONS, option) ? usage(error.message.replace(`"${option}"`, OPTIONS[option])) : error;
}

/**
 * One answer, line by line. Rejects when it is a refusal or ends in the middle.
 *
 * @param {import('../client.js').Manager} manager
 * @param {Record<string, any>} parameters
 * @param {ReturnType<typeof writer>} output
 * @param {(line: any) => void} onLine
 * @returns {Promise<void>}
 */
function read(manager, parameters, output, onLine) {
  const query = Object.entries(parameters).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return new Promise((resolve, reject) => {
    const request = http.get({ agent: false, socketPath: path.join(manager.home, SOCKET), path: `/v1/logs?${query.join('&')}` }, (response) => {
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        const lines = `${rest}${chunk}`.split('\n');
        rest = lines.pop() ?? '';
        if (response.statusCode !== 200) return;
        for (const line of lines) onLine(JSON.parse(line));
        output.flush(response);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) return resolve();
        const { code, message } = JSON.parse(rest).error;
        return reject(new ManagerError(code, message));
      });
    });
    request.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
      const isGone = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
      reject(isGone ? new ManagerError('ERR_RCLUSTER_NO_DAEMON', `no daemon runs for "${manager.home}"`) : error);
    });
  });
}

/** Writes to standard output, no faster than it is read. Whoever reads it may go away at any time: then this process ends. */
function writer() {
  const { stdout } = process;
  stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  /** @type {string[]} */
  let texts = [];
  return {
    /** @param {string} text */
    write: (text) => void texts.push(text),
    /** @param {import('node:http').IncomingMessage} source */
    flush(source) {
      const text = texts.join('');
      texts = [];
      if (text === '' || stdout.write(text)) return;
      source.pause();
      stdout.once('drain', () => source.resume());
    },
  };
}

module.exports = { follow };
