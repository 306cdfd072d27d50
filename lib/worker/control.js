'use strict';

// What a worker and its primary say to each other (../control.js has the messages), at the worker's end.

const { load } = require('../native.js');

/** What is to be done with a message of the primary's. @typedef {(message: any, fd: number) => void} Act */

class Control {
  /** @type {Map<number, Act>} */
  #questions = new Map();
  #lastQuestion = 0;
  #send;
  /** @type {Record<string, Act>} */
  #acts;

  /**
   * @param {(message: object) => boolean} send Returns whether it could be sent.
   * @param {Record<string, Act>} acts By what the message is about.
   * @param {(message: any) => void} otherwise What is in none of them is a supervisor's.
   */
  constructor(send, acts, otherwise) {
    this.#send = send;
    this.#acts = { __proto__: /** @type {any} */ (null), reply: (message, fd) => this.#onReply(message, fd), ...acts };
    this.otherwise = otherwise;
  }

  /**
   * @param {object} message
   * @param {Act} [callback] Gets the answer.
   * @returns {boolean} Whether it could be sent.
   */
  send(message, callback) {
    if (!callback) return this.#send(message);
    const seq = ++this.#lastQuestion;
    this.#questions.set(seq, callback);
    return this.#send({ ...message, seq });
  }

  /**
   * A message of the primary's.
   *
   * @param {any} message
   * @param {number} fd
   */
  on(message, fd) {
    const act = this.#acts[message.act];
    if (act) act(message, fd);
    else this.otherwise(message);
  }

  /**
   * @param {any} message
   * @param {number} fd
   */
  #onReply(message, fd) {
    const callback = this.#questions.get(message.seq);
    this.#questions.delete(message.seq);
    if (callback) callback(message, fd);
    else if (fd >= 0) load().closeFd(fd);
  }
}

module.exports = { Control };
