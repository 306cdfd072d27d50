'use strict';

// Clients of a Service of a simulated Kubernetes: each connection goes to one of the pods that are in it at that moment, and stays there.

const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

/** A request that takes longer (ms) is lost. */
const PATIENCE = 10_000;
/** How long (ms) a client thinks between two requests, at most. */
const PAUSE = 20;

/** @typedef {{ port: number }} Place */

class Clients {
  #service;
  #isOver = false;
  #answered = 0;
  /** How many failed, by what was seen. @type {Record<string, number>} */
  #failed = {};
  #done;

  /**
   * @param {Set<Place>} service
   * @param {{ keep: number, fresh: number }} counts Of those that keep their connection, and of those that make one for each request.
   */
  constructor(service, { keep, fresh }) {
    this.#service = service;
    const all = [...Array.from({ length: keep }, () => this.#run(true)), ...Array.from({ length: fresh }, () => this.#run(false))];
    this.#done = Promise.all(all);
  }

  /** @param {boolean} keeps */
  async #run(keeps) {
    let agent = new http.Agent({ keepAlive: keeps, maxSockets: 1 });
    let place = this.#choose();
    while (!this.#isOver) {
      // A connection that is closed is made anew, to one that is there now.
      if (!keeps || Object.keys(agent.freeSockets).length === 0) {
        agent.destroy();
        agent = new http.Agent({ keepAlive: keeps, maxSockets: 1 });
        place = this.#choose();
      }
      const code = await this.#ask(agent, place.port);
      if (code === undefined) this.#answered++;
      else this.#failed[code] = (this.#failed[code] ?? 0) + 1;
      await sleep(Math.random() * PAUSE);
    }
    agent.destroy();
  }

  #choose() {
    const all = [...this.#service];
    return all[Math.floor(Math.random() * all.length)];
  }

  /**
   * @param {http.Agent} agent
   * @param {number} port
   * @returns {Promise<string | undefined>} What was wrong, if anything.
   */
  #ask(agent, port) {
    return new Promise((resolve) => {
      const asked = http.get({ host: '127.0.0.1', port, agent, timeout: PATIENCE }, (response) => {
        response.resume();
        response.on('error', () => resolve('cut'));
        response.on('end', () => resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`));
      });
      asked.on('timeout', () => asked.destroy(Object.assign(new Error('no answer'), { code: 'no answer' })));
      asked.on('error', (/** @type {NodeJS.ErrnoException} */ error) => resolve(error.code ?? error.message));
    });
  }

  async stop() {
    this.#isOver = true;
    await this.#done;
    return { answered: this.#answered, failed: this.#failed };
  }
}

module.exports = { Clients };
