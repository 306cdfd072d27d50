'use strict';

// A pod of a simulated Kubernetes, and the kubelet that looks after it.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { root } = require('../../lib/sources.js');
const { freePort } = require('../../../__test__/helpers/free_port.js');

/** How often (ms) one looks whether a pod that starts may get requests; sooner than its readiness probe would say so. */
const LOOK = 100;

class Pod {
  /** Where its service is. */
  port = 0;
  /** Probes that it failed though it was ready once and had not been told to stop. */
  wrongProbes = 0;
  #health = 0;
  #isStopping = false;
  #isReady = false;
  #container;
  #grace;
  #started;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  /** @type {Set<NodeJS.Timeout>} */
  #timers = new Set();

  /**
   * @param {object} given
   * @param {string[]} given.args Of the manifest.
   * @param {number} given.workers
   * @param {any} given.container Of the manifest.
   * @param {number} given.grace ms
   */
  constructor({ args, workers, container, grace }) {
    this.#container = container;
    this.#grace = grace;
    this.#started = this.#start(args, workers);
  }

  /**
   * @param {string[]} args
   * @param {number} workers
   */
  async #start(args, workers) {
    [this.port, this.#health] = [await freePort(), await freePort()];
    const places = new Map([['--health=', `--health=127.0.0.1:${this.#health}`], ['--instances=', `--instances=${workers}`]]);
    const here = args.map((one) => [...places].find(([flag]) => one.startsWith(flag))?.[1] ?? one);
    const command = [path.join(root, 'bin', 'rcluster.js'), ...here, path.join(__dirname, 'app.js')];
    this.#child = spawn(process.execPath, command, { env: { ...process.env, PORT: `${this.port}` }, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.resume();
    this.#probe(this.#container.readinessProbe);
    this.#probe(this.#container.livenessProbe);
  }

  /** @param {any} probe */
  #probe({ httpGet, periodSeconds, timeoutSeconds }) {
    const ask = async () => {
      const ok = await this.#ask(httpGet.path, timeoutSeconds * 1000);
      if (!ok && this.#isReady && !this.#isStopping) this.wrongProbes++;
    };
    this.#timers.add(setInterval(ask, periodSeconds * 1000));
  }

  /**
   * @param {string} where
   * @param {number} timeout ms
   * @returns {Promise<boolean>}
   */
  #ask(where, timeout) {
    return new Promise((resolve) => {
      const asked = http.get({ host: '127.0.0.1', port: this.#health, path: where, agent: false, timeout }, ({ statusCode = 0 }) => resolve(statusCode >= 200 && statusCode < 400));
      asked.on('timeout', () => asked.destroy());
      asked.on('error', () => resolve(false));
    });
  }

  async untilReady() {
    await this.#started;
    while (!(await this.#ask('/ready', 1000))) {
      if (this.#child?.exitCode !== null) throw new Error(`a pod has ended with code ${this.#child?.exitCode}`);
      await sleep(LOOK);
    }
    this.#isReady = true;
  }

  /** SIGTERM, and SIGKILL after its grace. */
  async stop() {
    const begin = performance.now();
    this.#isStopping = true;
    const child = /** @type {import('node:child_process').ChildProcess} */ (this.#child);
    const end = setTimeout(() => child.kill('SIGKILL'), this.#grace);
    child.kill('SIGTERM');
    const [code, signal] = await once(child, 'exit');
    clearTimeout(end);
    this.#forget();
    return { code, signal, took: performance.now() - begin };
  }

  /** At once. */
  async kill() {
    this.#isStopping = true;
    this.#forget();
    await this.#started;
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    this.#child.kill('SIGINT');
    await exited;
  }

  #forget() {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers.clear();
  }
}

module.exports = { Pod };
