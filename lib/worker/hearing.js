'use strict';

// Whether anybody of the program has ever listened for messages. Until then they are kept; from then on as in Node.

class Hearing {
  #worker;
  #passOn;
  #heard = false;

  /**
   * @param {import('node:cluster').Worker} worker That has just been made of `process`.
   * @param {() => void} onListener Somebody may listen now.
   */
  constructor(worker, onListener) {
    this.#worker = worker;
    // The constructor of `Worker` listens to pass messages on.
    this.#passOn = process.listeners('message').at(-1);
    for (const emitter of [process, worker]) {
      emitter.on('newListener', (/** @type {string} */ event) => {
        if (event !== 'message') return;
        this.#heard = true;
        process.nextTick(onListener);
      });
    }
  }

  /** Whether messages can be delivered now. */
  isHeard() {
    return process.listenerCount('message') > 0 && (this.#heard ||= this.#hasListener());
  }

  #hasListener() {
    return process.listeners('message').some((listener) => listener !== this.#passOn) || this.#worker.listenerCount('message') > 0;
  }
}

/**
 * Listeners of these events keep the channel, and with it the process, alive.
 *
 * @param {{ refCounted(): void, unrefCounted(): void }} reference
 */
function countListeners(reference) {
  const counted = (/** @type {string | symbol} */ name) => name === 'message' || name === 'disconnect';
  process.on('newListener', (name) => counted(name) && reference.refCounted());
  process.on('removeListener', (name) => counted(name) && reference.unrefCounted());
}

module.exports = { Hearing, countListeners };
