'use strict';

// One request to the daemon and its answer, whole. node:http takes longer to load than all else of a command, which is most of the time that a verb
// takes; so this is what of HTTP/1.1 (RFC 9112) is needed with a connection for each request.

const net = require('node:net');

/** The first line of an answer. */
const STATUS = /^HTTP\/1\.[01] (\d{3}) /;

/**
 * @param {string} socketPath
 * @param {string} method
 * @param {string} url
 * @param {object} [body] Sent as JSON.
 * @returns {Promise<{ status: number, server: string, body: string }>} Rejects with the system's error, and with `ECONNRESET` when the other side goes
 *   away before it has answered.
 */
function ask(socketPath, method, url, body) {
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
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => {
      const answer = read(Buffer.concat(chunks));
      if (answer) resolve(answer);
      else reject(Object.assign(new Error('the daemon has gone before it had answered'), { code: 'ECONNRESET' }));
    });
    socket.write(`${method} ${url} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${about}\r\n${text}`);
  });
}

/**
 * @param {Buffer} bytes All that has come.
 * @returns {{ status: number, server: string, body: string } | undefined} Nothing where something is missing.
 */
function read(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const head = bytes.toString('latin1', 0, Math.max(end, 0));
  const status = STATUS.exec(head)?.[1];
  const field = (/** @type {string} */ name) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'im').exec(head)?.[1];
  if (status === undefined) return undefined;
  const rest = bytes.subarray(end + 4);
  const body = /(?:^|,\s*)chunked$/i.test(field('transfer-encoding') ?? '') ? joined(rest) : part(rest, Number(field('content-length') ?? NaN));
  return body && { status: Number(status), server: field('server') ?? '', body: body.toString() };
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

module.exports = { ask };
