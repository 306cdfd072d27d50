'use strict';

/** Starts the server of one rival. */

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { Running } = require('./processes.js');

/** @typedef {import('./rivals.js').Rival} Rival */

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {number} primary  its pid
 * @property {number[]} workers  their pids
 * @property {() => Promise<void>} stop
 */

/**
 * @param {Rival} rival
 * @returns {NodeJS.ProcessEnv} what makes a server script use this rival
 */
function rivalEnv({ kind, policy, checkout }) {
  return { BENCH_CLUSTER: kind, BENCH_CHECKOUT: checkout, NODE_CLUSTER_SCHED_POLICY: policy };
}

/**
 * @param {string} name  a file of bench/servers
 * @returns {string}
 */
function script(name) {
  return path.join(__dirname, '../servers', name);
}

/**
 * Starts a server and waits until it is ready.
 * @param {Rival} rival
 * @param {{ floor: string, workers?: number, script?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<Server>}
 */
async function startServer(rival, { floor, workers = 2, script: name = 'http.js', env }) {
  const running = new Running(
    rival.kind === 'floor'
      ? { command: floor, args: [String(workers)] }
      : {
          command: process.execPath,
          args: [script(name)],
          env: { ...rivalEnv(rival), BENCH_WORKERS: String(workers), ...(await portEnv(rival)), ...env },
        },
  );
  try {
    const { port, primary, workers: pids } = await running.line();
    return { port, primary, workers: pids, stop: () => running.stop() };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/**
 * Workers that listen for themselves must be told one port. It is free now; nobody else here takes ports so quickly.
 * @param {Rival} rival
 */
async function portEnv({ reusePort }) {
  if (!reusePort) return {};
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return { BENCH_REUSE_PORT: String(port) };
}

module.exports = { startServer, rivalEnv, script };
