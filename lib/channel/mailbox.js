'use strict';

// Messages that came before anybody listened for them. Loaded when there is the first one.

const { Context } = require('../contexts.js');

/**
 * The most that is kept (bytes, more or less). What comes beyond that is dropped, as Node drops all of it: a worker that never
 * listens must not grow with each message that it gets.
 */
const MOST_KEPT = 32 << 20;
/** What a message costs besides its text, and a handle. */
const WEIGHT = 256;
const WEIGHT_OF_HANDLE = 64 << 10;

class Mailbox {
  /** @type {[any, any][]} */
  #letters = [];
  #next = 0;
  #weight = 0;
  #isFull = false;
  #target;
  #onNewListener;
  /** Listeners are called in the context that they would have been called in when the first message came. */
  #context = new Context();

  /**
   * @param {import('node:events').EventEmitter} target Of the messages.
   * @param {() => void} listened Called after somebody began to listen to it for something.
   */
  constructor(target, listened) {
    this.#target = target;
    this.#onNewListener = () => process.nextTick(listened);
    target.on('newListener', this.#onNewListener);
  }

  get isEmpty() {
    return this.#next === this.#letters.length;
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {number} size Characters or bytes that the message came in.
   */
  put(message, handle, size) {
    this.#weight += 2 * size + WEIGHT + (handle ? WEIGHT_OF_HANDLE : 0);
    // Once it is full nothing more is kept, however small: what is delivered in the end has no holes.
    this.#isFull ||= this.#weight > MOST_KEPT;
    if (!this.#isFull) this.#letters.push([message, handle]);
    else if (handle) (handle.destroy ?? handle.close).call(handle);
  }

  /**
   * Emits all, in order, whether somebody listens for each of them or not, as Node does. When a listener throws, the rest is
   * there still.
   */
  deliver() {
    while (!this.isEmpty) {
      const [message, handle] = this.#letters[this.#next];
      this.#letters[this.#next++] = [undefined, undefined];
      this.#context.run(() => this.#target.emit('message', message, handle));
    }
  }

  /** It is not needed any more. @returns {undefined} */
  close() {
    this.#target.off('newListener', this.#onNewListener);
    return undefined;
  }
}

module.exports = { Mailbox };
