'use strict';

// The manager from JavaScript: `require('rcluster/manager')`. The command is its first user.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { executable, home: defaultHome } = require('./home.js');

/** @typedef {import('./client').App} App */
/** @typedef {import('./client').AppStatus} AppStatus */

/** What the daemon answers when it refuses, or is not there. */
class ManagerError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

class Manager {
  #home;
  #agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

  /** @param {{ home?: string }} [options] */
  constructor({ home = defaultHome() } = {}) {
    this.#home = home;
  }

  get home() {
    return this.#home;
  }

  /**
   * Starts the daemon of this home if none runs.
   *
   * @returns {Promise<void>}
   */
  async ensureDaemon() {
    if (await this.isRunning()) return;
    const binary = executable();
    if (!fs.existsSync(binary)) await require('../scripts/build-manager.js').buildManager();
    const { status, stderr, error } = spawnSync(binary, ['daemon', '--home', this.#home], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (error) throw new ManagerError('ERR_RCLUSTER_NO_DAEMON', `the daemon could not be started: ${error.message}`);
    // Another command may have started one in the same moment.
    if (status !== 0 && !(await this.isRunning())) {
      throw new ManagerError('ERR_RCLUSTER_NO_DAEMON', stderr.trim().replace(/^rclusterd: /, '') || `the daemon ended with code ${status}`);
    }
  }

  /** Whether a daemon answers. */
  async isRunning() {
    try {
      await this.ping();
      return true;
    } catch {
      return false;
    }
  }

  ping() {
    return this.request('GET', '/v1/ping');
  }

  /** @returns {Promise<AppStatus[]>} */
  list() {
    return this.request('GET', '/v1/apps');
  }

  /**
   * @param {Partial<App>[]} apps
   * @returns {Promise<AppStatus[]>}
   */
  start(apps) {
    return this.request('POST', '/v1/apps', { apps });
  }

  /**
   * One of the operations on what `target` names: `start`, `stop`, `restart`, `reset`, `signal`, `send`, `stdin`, `flush`, `reopen`.
   *
   * @param {string} target `all`, a name, a number, or a namespace.
   * @param {string} operation
   * @param {object} [body]
   * @returns {Promise<AppStatus[]>}
   */
  act(target, operation, body) {
    return this.request('POST', `/v1/apps/${encodeURIComponent(target)}/${operation}`, body ?? {});
  }

  /**
   * @param {string} target
   * @returns {Promise<App[]>}
   */
  describe(target) {
    return this.request('GET', `/v1/apps/${encodeURIComponent(target)}`);
  }

  /** @param {string} target */
  delete(target) {
    return this.request('DELETE', `/v1/apps/${encodeURIComponent(target)}`);
  }

  /** Stops all apps and ends the daemon. */
  kill() {
    return this.request('POST', '/v1/kill');
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  request(method, url, body) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const request = http.request({ agent: this.#agent, socketPath: path.join(this.#home, 'daemon.sock'), method, path: url, headers }, (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (answer += chunk));
        response.on('error', reject);
        response.on('end', () => {
          const parsed = JSON.parse(answer);
          if (response.statusCode === 200) resolve(parsed);
          else reject(new ManagerError(parsed.error.code, parsed.error.message));
        });
      });
      request.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
        const isGone = error.code === 'ENOENT' || error.code === 'ECONNREFUSED';
        reject(isGone ? new ManagerError('ERR_RCLUSTER_NO_DAEMON', `no daemon runs for "${this.#home}"`) : error);
      });
      request.end(text);
    });
  }

  /** Lets the process end. */
  close() {
    this.#agent.destroy();
  }
}

module.exports = { Manager, ManagerError };
