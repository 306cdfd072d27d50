'use strict';

// Load, and what became of it.

const { spawn } = require('node:child_process');
const http = require('node:http');
const { once } = require('node:events');

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<string>} its output
 */
async function output(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  child.stderr.on('data', (chunk) => (text += chunk));
  child.on('error', (error) => (text += error.message));
  await once(child, 'close');
  return text;
}

/**
 * Keep-alive connections, by wrk.
 *
 * @param {number} port
 * @param {number} seconds
 * @returns {Promise<{ requests: number, lost: number, text: string }>}
 */
async function wrk(port, seconds) {
  const text = await output('wrk', ['-t', '2', '-c', '32', '-d', `${seconds}s`, '--timeout', '10s', `http://127.0.0.1:${port}/`]);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  if (Number.isNaN(requests)) throw new Error(`wrk: ${text}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1).map(Number) ?? [];
  const others = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return { requests, lost: errors.reduce((sum, count) => sum + count, others), text };
}

/**
 * A connection for each request, by ab.
 *
 * @param {number} port
 * @param {number} seconds
 */
async function ab(port, seconds) {
  const text = await output('ab', ['-q', '-r', '-c', '32', '-t', `${seconds}`, '-n', '10000000', `http://127.0.0.1:${port}/`]);
  const requests = Number(/Complete requests:\s+(\d+)/.exec(text)?.[1]);
  if (Number.isNaN(requests)) throw new Error(`ab: ${text}`);
  const failed = Number(/Failed requests:\s+(\d+)/.exec(text)?.[1]);
  const others = Number(/Non-2xx responses:\s+(\d+)/.exec(text)?.[1] ?? 0);
  return { requests, lost: failed + others, text };
}

/** Requests that are asked one after the other, over so many connections of their own, until told to stop. */
class Asking {
  answered = 0;
  /** @type {string[]} */
  failed = [];
  /** @type {Set<number>} Who answered. */
  pids = new Set();
  /** Longest reply (ms). */
  longest = 0;
  #going = true;
  #all;

  /**
   * @param {number} port
   * @param {{ clients?: number, keepAlive?: boolean }} [options]
   */
  constructor(port, { clients = 8, keepAlive = true } = {}) {
    this.#all = Promise.all(Array.from({ length: clients }, () => this.#ask(port, new http.Agent({ keepAlive, maxSockets: 1 }))));
  }

  /**
   * @param {number} port
   * @param {http.Agent} agent
   */
  async #ask(port, agent) {
    while (this.#going) {
      const start = performance.now();
      try {
        this.pids.add(Number(await get(port, agent)));
        this.answered++;
        this.longest = Math.max(this.longest, performance.now() - start);
      } catch (error) {
        this.failed.push(/** @type {NodeJS.ErrnoException} */ (error).code ?? String(error));
        // Not to fill the memory with refusals.
        await new Promise((resolve) => { setTimeout(resolve, 1); });
      }
    }
    agent.destroy();
  }

  async stop() {
    this.#going = false;
    await this.#all;
    return this;
  }
}

/**
 * @param {number} port
 * @param {http.Agent | false} agent
 * @param {string} [path]
 * @returns {Promise<string>}
 */
function get(port, agent = false, path = '/') {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, agent, path, timeout: 30_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve(text));
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error('no reply within 30 s'), { code: 'TIMEOUT' })));
    request.on('error', reject);
  });
}

module.exports = { Asking, ab, get, wrk };
