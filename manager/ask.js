'use strict';

// One request to the daemon and its answer, whole. node:http takes longer to load than all else of a command, which is most of the time that a verb
// takes; so this is what of HTTP/1.1 (RFC 9112) is needed with a connection for each request.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

/** How long (ms) the daemon may say nothing until it is asked whether it is there at all, and how long it then has to say so, in all. */
const PATIENCE = 15_000;

/** What is waited for first, of all patience: an answer may take as long as what was asked for. */
const FIRST = 1 / 3;

/** The first line of an answer. */
const STATUS = /^HTTP\/1\.[01] (\d{3}) /;

/**
 * @param {string} socketPath
 * @param {string} method
 * @param {string} url
 * @param {object} [body] Sent as JSON.
 * @param {number} [patience] How long (ms) the daemon may be silent.
 * @returns {Promise<{ status: number, server: string, notSaved: string | undefined, body: string }>} Rejects with the system's error, and with `ECONNRESET` when the other side goes
 *   away before it has answered, and with `ERR_RCLUSTER_NO_ANSWER` when it is there and does nothing.
 */
function ask(socketPath, method, url, body, patience) {
  for (const word of [method, url]) {
    // Nothing else may come into the head of a request.
    if (!/^[\x21-\x7e]+$/.test(word)) return Promise.reject(new TypeError(`a request's method and path must be printable, without spaces. Received ${JSON.stringify(word)}`));
  }
  const text = body === undefined ? '' : JSON.stringify(body);
  const about = body === undefined ? '' : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n`;
  return new Promise((resolve, reject) => {
    /** @type {Buffer[]} */
    const chunks = [];
    const socket = net.connect(socketPath);
    socket.on('error', reject);
    giveUpInSilence(socket, socketPath, patience);
    let [got, whole] = [0, Infinity];
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      got += chunk.length;
      if (whole === Infinity) whole = lengthOf(Buffer.concat(chunks));
      // Nothing more comes: nobody waits until the other side has closed it.
      if (got >= whole) socket.destroy();
    });
    socket.on('close', () => {
      const answer = read(Buffer.concat(chunks));
      if (answer) resolve(answer);
      else reject(Object.assign(new Error('the daemon has gone before it had answered'), { code: 'ECONNRESET' }));
    });
    socket.write(`${method} ${url} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${about}\r\n${text}`);
  });
}

/**
 * Ends a connection with an error when nothing comes, and nothing comes to those who only ask whether somebody is there.
 *
 * @param {net.Socket | import('node:http').ClientRequest} stream
 * @param {string} socketPath
 * @param {number} [patience]
 */
function giveUpInSilence(stream, socketPath, patience = PATIENCE) {
  stream.setTimeout(patience * FIRST, async () => {
    const isThere = await answers(socketPath, patience * (1 - FIRST));
    if (stream.destroyed) return;
    if (isThere) giveUpInSilence(stream, socketPath, patience);
    else stream.destroy(silent(socketPath, patience));
  });
}

/**
 * Whether somebody answers there within a time (ms), or nobody is there any more: then that is told elsewhere.
 *
 * @param {string} socketPath
 * @param {number} within
 * @returns {Promise<boolean>}
 */
function answers(socketPath, within) {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    const end = (/** @type {boolean} */ is) => {
      resolve(is);
      socket.destroy();
    };
    socket.on('data', () => end(true)).on('close', () => end(true)).on('error', (error) => end(/** @type {any} */ (error).code !== 'EAGAIN'));
    socket.setTimeout(within, () => end(false));
    socket.write('GET /v1/ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  });
}

/**
 * @param {string} socketPath
 * @param {number} patience
 */
function silent(socketPath, patience) {
  const textOf = (/** @type {string} */ file) => {
    try {
      return fs.readFileSync(file, 'utf8').trim();
    } catch {
      return '';
    }
  };
  const pid = textOf(path.join(path.dirname(socketPath), 'daemon.pid'));
  const isStopped = /\) [Tt]/.test(textOf(`/proc/${pid}/stat`));
  const cure = isStopped ? `it is stopped, and kill -CONT ${pid} lets it go on` : `kill -9 ${pid} ends it, no program notices, and the next command starts another one`;
  return Object.assign(new Error(`the daemon (process ${pid}) has said nothing for ${patience / 1000} s: ${cure}`), { code: 'ERR_RCLUSTER_NO_ANSWER' });
}

/**
 * How long an answer is, where that is said by now.
 *
 * @param {Buffer} bytes What has come.
 */
function lengthOf(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const length = end < 0 ? undefined : fieldOf(bytes.toString('latin1', 0, end), 'content-length');
  return length === undefined ? Infinity : end + 4 + Number(length);
}

/**
 * @param {string} head
 * @param {string} name
 */
const fieldOf = (head, name) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'im').exec(head)?.[1];

/**
 * @param {Buffer} bytes All that has come.
 * @returns {{ status: number, server: string, notSaved: string | undefined, body: string } | undefined} Nothing where something is missing.
 */
function read(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, Math.max(end, 0));
  const status = STATUS.exec(head)?.[1];
  const field = (/** @type {string} */ name) => fieldOf(head, name);
  if (status === undefined) return undefined;
  const rest = bytes.subarray(end + 4);
  const body = /(?:^|,\s*)chunked$/i.test(field('transfer-encoding') ?? '') ? joined(rest) : part(rest, Number(field('content-length') ?? NaN));
  return body && { status: Number(status), server: field('server') ?? '', notSaved: field('rcluster-not-saved'), body: body.toString() };
}

/**
 * The first bytes, if there are as many.
 *
 * @param {Buffer} bytes
 * @param {number} length
 */
const part = (bytes, length) => (length <= bytes.length ? bytes.subarray(0, length) : undefined);

/**
 * A body that comes in pieces, each behind its length, to the empty one.
 *
 * @param {Buffer} bytes
 */
function joined(bytes) {
  const pieces = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n', at);
    const [length] = /^[\da-f]+/i.exec(bytes.toString('latin1', at, Math.max(end, at))) ?? [];
    const piece = length === undefined ? undefined : part(bytes.subarray(end + 2), Number.parseInt(length, 16));
    if (!piece) return undefined;
    if (piece.length === 0) return Buffer.concat(pieces);
    pieces.push(piece);
    at = end + 2 + piece.length + 2;
  }
}

module.exports = { ask, giveUpInSilence };
