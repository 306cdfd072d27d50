'use strict';

// Clients that see what becomes of their connection.

const http = require('node:http');
const net = require('node:net');
const { waitFor } = require('./run');

/** @type {Set<{ close(): void }>} */
const open = new Set();

/** An HTTP client with one connection that it keeps. */
class KeepAliveClient {
  /** Whether the server has closed a connection. */
  closed = 0;
  /** @type {Set<unknown>} Local ports of all connections that it ever had. */
  ports = new Set();
  #agent;
  #where;
  #http;

  /**
   * @param {number | string} where a port, or the path of a Unix socket
   * @param {{ transport?: typeof import('node:http') | typeof import('node:https') }} [options]
   */
  constructor(where, { transport = http } = {}) {
    this.#where = typeof where === 'number' ? { host: '127.0.0.1', port: where } : { socketPath: where };
    this.#http = transport;
    this.#agent = new transport.Agent({ keepAlive: true, maxSockets: 1 });
    open.add(this);
  }

  /**
   * @param {string} [path]
   * @param {import('node:http').RequestOptions & { body?: string }} [options]
   * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: string }>}
   */
  ask(path = '/', { body, ...options } = {}) {
    return new Promise((resolve, reject) => {
      const settings = { ...this.#where, path, agent: this.#agent, rejectUnauthorized: false, ...options };
      const asked = this.#http.request(settings, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      });
      asked.on('socket', (socket) => this.#watch(socket));
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** @param {net.Socket & { watchedByTest?: boolean }} socket */
  #watch(socket) {
    if (socket.watchedByTest) return;
    socket.watchedByTest = true;
    socket.once('connect', () => this.ports.add(socket.localPort));
    socket.once('close', () => this.closed++);
  }

  close() {
    this.#agent.destroy();
  }
}

/** A plain connection: what it got, and whether it was ended. */
class RawClient {
  got = '';
  ended = false;
  /** @type {Error | undefined} */
  error;

  /** @param {number | string} where a port, or the path of a Unix socket */
  constructor(where) {
    this.socket = typeof where === 'number' ? net.connect(where, '127.0.0.1') : net.connect(where);
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk) => (this.got += chunk));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('close', () => (this.ended = true));
    this.socket.on('error', (error) => (this.error = error));
    open.add(this);
  }

  /** @param {string} text */
  send(text) {
    this.socket.write(text);
  }

  /**
   * Waits until it has got something.
   *
   * @param {string | RegExp} what
   */
  async until(what) {
    const message = () => `got ${JSON.stringify(this.got)}, ${this.error ?? (this.ended ? 'and its end' : 'and no end')}`;
    await waitFor(() => (typeof what === 'string' ? this.got.includes(what) : what.test(this.got)), { message });
  }

  async untilEnded() {
    await waitFor(() => this.ended, { message: () => `got ${JSON.stringify(this.got)}, and no end` });
  }

  close() {
    this.socket.destroy();
  }
}

if (typeof afterEach === 'function') {
  afterEach(() => {
    for (const client of open) client.close();
    open.clear();
  });
}

module.exports = { KeepAliveClient, RawClient };
