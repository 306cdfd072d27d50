'use strict';

// Requests without pause, each over a connection of its own, and what became of them.

const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');

/** How long (ms) a client waits for its answer. */
const PATIENCE = 1500;
/** How long (ms) it waits after one that failed. */
const PAUSE = 20;
/**
 * Besides, somebody new asks each so many ms, whatever has become of the others: who serves nobody that it gets would otherwise have all
 * clients in the end, and nobody would ask whether the others still answer.
 */
const PROBE = 50;

/**
 * @param {number} port
 * @param {string} [address] the client's own
 * @returns {Promise<number>} the pid that answered; 0 when it was none
 */
function ask(port, address) {
  return new Promise((resolve) => {
    let text = '';
    let done = false;
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: address });
    const finish = () => {
      if (done) return;
      done = true;
      socket.destroy();
      clearTimeout(timer);
      resolve(/^HTTP\/1.1 200/.test(text) ? Number(/\r\n\r\n(\d+)$/.exec(text)?.[1] ?? 0) : 0);
    };
    const timer = setTimeout(finish, PATIENCE);
    socket.setEncoding('latin1');
    socket.on('data', (data) => (text += data));
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
}

/**
 * @typedef {object} Phase
 * @property {number} answered
 * @property {number} failed
 * @property {number} longest ms of the slowest answer
 * @property {number} gap the longest time (ms) in which nobody got an answer
 */

class Load {
  /** @type {Phase} */
  #phase = { answered: 0, failed: 0, longest: 0, gap: 0 };
  #lastAnswer = Date.now();
  #stopped = false;
  /** Whether nobody asks for the time being. */
  #paused = false;
  /** What is asked and not answered yet. @type {Set<Promise<unknown>>} */
  #asked = new Set();
  /** @type {Promise<unknown>} */
  #all;

  /**
   * @param {number} port
   * @param {number} clients
   */
  constructor(port, clients) {
    const all = Array.from({ length: clients }, (_, index) => this.#run(port, `127.0.0.${10 + index}`));
    this.#all = Promise.all([...all, this.#probe(port)]);
  }

  /**
   * @param {number} port
   * @param {string} address
   */
  async #run(port, address) {
    while (!this.#stopped) {
      if (this.#paused) {
        await sleep(PAUSE);
        this.#lastAnswer = Date.now();
        continue;
      }
      // Not as much as possible: the machine is to have time for the attack.
      await sleep((await this.#ask(port, address)) ? 2 : PAUSE);
    }
  }

  /** @param {number} port */
  async #probe(port) {
    for (; !this.#stopped; await sleep(PROBE)) if (!this.#paused) void this.#ask(port);
    await this.underWay();
  }

  /**
   * @param {number} port
   * @param {string} [address]
   * @returns {Promise<boolean>} whether it was answered
   */
  #ask(port, address) {
    const one = this.#count(port, address).finally(() => this.#asked.delete(one));
    this.#asked.add(one);
    return one;
  }

  /**
   * @param {number} port
   * @param {string} [address]
   * @returns {Promise<boolean>}
   */
  async #count(port, address) {
    const began = Date.now();
    if ((await ask(port, address)) === 0) {
      this.#phase.failed++;
      return false;
    }
    const now = Date.now();
    this.#phase.answered++;
    this.#phase.longest = Math.max(this.#phase.longest, now - began);
    this.#noteGap(now);
    this.#lastAnswer = now;
    return true;
  }

  /** @param {number} now */
  #noteGap(now) {
    this.#phase.gap = Math.max(this.#phase.gap, now - this.#lastAnswer);
  }

  /** Whether somebody has been answered in this phase. */
  get isAnswered() {
    return this.#phase.answered > 0;
  }

  /** @returns {Phase} what has happened since the last call */
  next() {
    this.#noteGap(Date.now());
    const phase = this.#phase;
    this.#phase = { answered: 0, failed: 0, longest: 0, gap: 0 };
    return phase;
  }

  /** Waits until all that has been asked by now is answered, or given up. */
  async underWay() {
    await Promise.all(this.#asked);
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.#paused = paused;
  }

  async stop() {
    this.#stopped = true;
    await this.#all;
  }
}

module.exports = { Load, ask };
