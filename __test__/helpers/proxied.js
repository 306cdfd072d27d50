'use strict';

// Senders of PROXY headers, and a worker that tells what it sees of its connections.

const net = require('node:net');
const { once } = require('node:events');
const { promisify } = require('node:util');
const { waitFor } = require('./run');

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const REQUEST = 'GET / HTTP/1.1\r\nHost: here\r\n\r\n';

/** @type {Set<net.Socket>} */
const open = new Set();

/** The header of version 1. */
const line = (address = '192.0.2.7', port = 4711) =>
  Buffer.from(`PROXY TCP${net.isIPv6(address) ? 6 : 4} ${address} ${net.isIPv6(address) ? '2001:db8::9' : '198.51.100.9'} ${port} 443\r\n`);

/**
 * An extension.
 *
 * @param {number} type
 * @param {Buffer | string} value
 */
function tlv(type, value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 255]), bytes]);
}

/**
 * A header of version 2 about TCP over IPv4.
 *
 * @param {{ command?: number, family?: number, port?: number, rest?: Buffer, length?: number, body?: Buffer }} [parts]
 */
function binary({ command = 0x21, family = 0x11, port = 4711, rest = Buffer.alloc(0), length, body } = {}) {
  const addresses = body ?? Buffer.from([192, 0, 2, 7, 198, 51, 100, 9, port >> 8, port & 255, 1, 187]);
  const payload = Buffer.concat([addresses, rest]);
  const size = length ?? payload.length;
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, size >> 8, size & 255]), payload]);
}

/** A connection, and all that came on it. */
class RawClient {
  text = '';
  closed = false;

  /** @param {number | string | { port: number, host: string }} where */
  constructor(where) {
    const options = typeof where === 'number' ? { host: '127.0.0.1', port: where } : typeof where === 'string' ? { path: where } : where;
    this.socket = net.connect(options);
    this.socket.setNoDelay(true);
    open.add(this.socket);
    this.socket.on('data', (chunk) => (this.text += chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
  }

  /** @param {...(Buffer | string)} parts each written when the one before has gone */
  async send(...parts) {
    for (const part of parts) await promisify(this.socket.write).call(this.socket, part);
    return this;
  }

  /** @param {...(Buffer | string)} parts What is sent before a request. @returns {Promise<any>} What the worker has seen. */
  async ask(...parts) {
    const from = this.text.length;
    await this.send(...parts, REQUEST);
    return this.answer(from);
  }

  /** @returns {Promise<any>} */
  async answer(from = 0) {
    const find = () => /\r\n\r\n(\{.*\})/.exec(this.text.slice(from));
    await waitFor(() => find() || this.closed, { message: () => `no answer, but ${JSON.stringify(this.text)}` });
    const found = find();
    if (!found) throw new Error(`closed after ${JSON.stringify(this.text.slice(from))}`);
    return JSON.parse(found[1]);
  }

  waitForEnd() {
    return waitFor(() => this.closed, { message: () => `still open, after ${JSON.stringify(this.text)}` });
  }

  async connected() {
    if (this.socket.connecting) await once(this.socket, 'connect');
    return this;
  }
}

if (typeof afterEach === 'function') {
  afterEach(() => {
    for (const socket of open) socket.destroy();
    open.clear();
  });
}

/** A worker: each answer is what it sees of the connection. */
function seer() {
  require('node:http').createServer((asked, response) => {
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort, proxyHeader } = asked.socket;
    const body = JSON.stringify({ pid: process.pid, seat: Number(process.env.NODE_APP_INSTANCE), remoteAddress, remotePort, remoteFamily, localAddress, localPort, proxyHeader });
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
  }).listen(process.env.WHERE ?? 0, process.env.WHERE ? undefined : '127.0.0.1');
}

module.exports = { REQUEST, RawClient, binary, line, seer, tlv };
