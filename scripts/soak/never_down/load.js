'use strict';

// Clients that ask at a rate, whether they are answered or not, and what became of each request.

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

/** Who has no answer by then (ms) hangs. */
const PATIENCE = 20_000;
/** How often (ms) those requests are sent that are due. */
const TICK = 5;
/** One of so many asks for a long answer. */
const LONG = 16;

/** @typedef {{ requests: number, again: number, longest: number, failed: { why: string, sent: number, ended: number }[] }} Tally */

/**
 * @param {http.Agent} agent
 * @param {number} port
 * @param {string} where
 * @returns {Promise<string | undefined>} Why it failed: a status, or what is wrong with the connection to the proxy. `'again'` when the proxy has closed that, which was
 *   kept, before it has answered anything: a client may ask again then.
 */
function ask(agent, port, where) {
  return new Promise((resolve) => {
    const asked = http.get({ host: '127.0.0.1', port, path: where, agent, timeout: PATIENCE }, (response) => {
      response.resume();
      response.on('error', () => resolve('cut'));
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : `${response.statusCode}`));
    });
    asked.on('timeout', () => asked.destroy(new Error('hangs')));
    asked.on('error', (/** @type {NodeJS.ErrnoException} */ error) => resolve(asked.reusedSocket && error.code === 'ECONNRESET' ? 'again' : (error.code ?? error.message)));
  });
}

class Load {
  /** What is being done to the service. */
  phase = 'nothing';
  /** By phase in which it was sent, and by proxy. @type {Map<string, Map<string, Tally>>} */
  tallies = new Map();
  #agent = new http.Agent({ keepAlive: true, maxFreeSockets: 1024 });
  #underWay = 0;
  /** @type {NodeJS.Timeout} */
  #timer;

  /**
   * @param {{ name: string, port: number }[]} proxies
   * @param {number} rate Requests per second, in all.
   */
  constructor(proxies, rate) {
    const began = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - began) / 1000) * rate; sent < due; sent++) void this.#send(proxies[sent % proxies.length], Math.floor(sent / proxies.length) % LONG === 0 ? '/long' : '/');
    }, TICK);
  }

  /** @param {{ name: string, port: number }} proxy @param {string} where */
  async #send({ name, port }, where) {
    const tally = this.#tally(name);
    const sent = performance.now();
    this.#underWay++;
    let why = await ask(this.#agent, port, where);
    for (; why === 'again'; tally.again++) why = await ask(this.#agent, port, where);
    this.#underWay--;
    const ended = performance.now();
    tally.requests++;
    tally.longest = Math.max(tally.longest, ended - sent);
    if (why !== undefined) tally.failed.push({ why, sent, ended });
  }

  /** @param {string} name */
  #tally(name) {
    const all = this.tallies.get(this.phase) ?? new Map();
    this.tallies.set(this.phase, all);
    const tally = all.get(name) ?? { requests: 0, again: 0, longest: 0, failed: [] };
    all.set(name, tally);
    return tally;
  }

  /** Resolves when all that was asked has an answer, or has none for too long. */
  async stop() {
    clearInterval(this.#timer);
    while (this.#underWay > 0) await sleep(TICK);
    this.#agent.destroy();
  }
}

module.exports = { Load };
