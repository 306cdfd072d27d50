'use strict';

// The cluster of fixtures/greeter.js, and its clients.

const { once } = require('node:events');
const net = require('node:net');
const { startScript, waitFor } = require('./run');

/** A cluster that greets. */
class Greeter {
  /**
   * @param {string} policy as in NODE_CLUSTER_SCHED_POLICY
   * @param {Record<string, string>} env see fixtures/greeter.js
   */
  constructor(policy, env) {
    this.script = startScript('__test__/fixtures/greeter.js', { env: { ...env, NODE_CLUSTER_SCHED_POLICY: policy } });
    this.port = 0;
  }

  /** @returns {number[]} the pids of the workers that listen, in the order in which they began to */
  get workers() {
    const pids = (/** @type {string} */ word) => {
      return this.script.stdout.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(' ')[1]));
    };
    const gone = new Set(pids('exit'));
    return pids('listening').filter((pid) => !gone.has(pid));
  }

  /**
   * Waits until so many workers listen.
   *
   * @param {number} count
   */
  async ready(count) {
    await waitFor(() => this.workers.length === count, { message: () => this.script.describe() });
    this.port = Number(this.script.stdout.find((line) => line.startsWith('listening '))?.split(' ')[2]);
  }

  /**
   * Opens a connection and waits for the greeting.
   *
   * @param {Partial<net.TcpNetConnectOpts>} [options]
   * @returns {Promise<Greeted>}
   */
  async connect(options) {
    return this.begin(options).greeted();
  }

  /**
   * Opens a connection.
   *
   * @param {Partial<net.TcpNetConnectOpts>} [options]
   */
  begin(options) {
    return new Greeted(net.connect(/** @type {any} */ ({ host: '127.0.0.1', port: this.port, ...options })));
  }

  /**
   * Kills a worker, and waits until the primary knows.
   *
   * @param {number} pid
   */
  async kill(pid) {
    process.kill(pid, 'SIGKILL');
    await this.script.waitForLine(new RegExp(`^exit ${pid}$`));
  }
}

/** A connection, and who has answered it. */
class Greeted {
  /** The pid of the worker; 0 before it has greeted. */
  pid = 0;
  /** @type {Error | undefined} */
  error = undefined;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    opened.add(socket);
    socket.on('error', (error) => (this.error = error));
    socket.on('data', (data) => (this.pid ||= Number.parseInt(data.toString(), 10)));
    socket.on('close', () => opened.delete(socket));
  }

  /** @returns {Promise<this>} */
  async greeted() {
    await waitFor(() => this.pid || this.error || this.socket.closed, { interval: 1, message: 'a greeting' });
    if (!this.pid) throw this.error ?? new Error('closed without a greeting');
    return this;
  }

  /**
   * Makes its worker block its event loop, and waits until it does.
   *
   * @param {number} ms
   */
  async block(ms) {
    this.socket.write(`block ${ms}`);
    await once(this.socket, 'data');
  }

  /**
   * Ends the connection, and waits until the worker has ended it, too.
   */
  async end() {
    this.socket.end();
    if (!this.socket.closed) await once(this.socket, 'close');
  }
}

/** @type {Set<net.Socket>} */
const opened = new Set();

afterEach(() => {
  for (const socket of opened) socket.destroy();
});

/**
 * @param {string} policy
 * @param {Record<string, string>} [env]
 */
async function startGreeter(policy, env = {}) {
  const greeter = new Greeter(policy, env);
  await greeter.ready(Number(env.WORKERS ?? 2));
  return greeter;
}

module.exports = { Greeted, startGreeter };
