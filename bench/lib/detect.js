'use strict';

/** What this checkout and this Node can do, found by trying. */

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { RCLUSTER_POLICIES } = require('./rivals.js');

const PROBE = `
  const cluster = require(process.argv[1]);
  const known = process.argv.slice(2).filter((policy) => 'SCHED_' + policy.toUpperCase() in cluster);
  console.log(JSON.stringify({ ...cluster.rcluster, policies: known }));
`;

/**
 * In a process of its own, since loading it here would take over our own `cluster`.
 * @returns {Promise<{ policies: string[], reason?: string }>} no policies, and why, where rcluster is absent
 */
async function rcluster() {
  const index = path.join(__dirname, '../../index.js');
  try {
    const args = ['-e', PROBE, index, ...RCLUSTER_POLICIES];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
    const { native, reason, policies } = JSON.parse(stdout);
    return native ? { policies } : { policies: [], reason: reason ?? 'it is not native here' };
  } catch (error) {
    const said = String(/** @type {any} */ (error).stderr || error);
    const reason = said.split('\n').find((line) => line.includes('Error')) ?? said;
    return { policies: [], reason: reason.trim() };
  }
}

/**
 * An older Node ignores the option, and the second listen then fails.
 * @returns {Promise<boolean>} whether `listen({ reusePort: true })` does what it says
 */
async function reusePort() {
  const first = net.createServer();
  const second = net.createServer();
  try {
    first.listen(/** @type {net.ListenOptions} */ ({ host: '127.0.0.1', port: 0, reusePort: true }));
    await once(first, 'listening');
    const { port } = /** @type {net.AddressInfo} */ (first.address());
    second.listen(/** @type {net.ListenOptions} */ ({ host: '127.0.0.1', port, reusePort: true }));
    await once(second, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    first.close();
    second.close();
  }
}

module.exports = { rcluster, reusePort };
