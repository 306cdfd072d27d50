'use strict';

// A server whose sockets were sent to another process still counts them: `server.getConnections()` and
// `server.close()` ask that process.

const EventEmitter = require('node:events');

const { countWith, keyOf } = require('../node/net.js');

/** The sender's side: what `net.Server` wants of a "socket list". Emits `exit` when the other process is gone. */
class SentSockets extends EventEmitter {
  /**
   * @param {SocketLists} lists
   * @param {string} key
   */
  constructor(lists, key) {
    super();
    this.lists = lists;
    this.key = key;
  }

  /** @param {(error: Error | null, count?: number) => void} callback */
  getConnections(callback) {
    this.lists.ask({ act: 'count-sockets', key: this.key }, (count) => callback(null, count));
  }

  /** @param {(error?: Error | null) => void} callback Called when the other process has closed them all. */
  close(callback) {
    this.lists.ask({ act: 'await-sockets', key: this.key }, () => callback(null));
  }
}

/** How many questions a side may have that wait for sockets to be closed. An honest one asks once for each server. */
const MOST_WAITING = 4096;

/** The receiver's side: the sockets that came from one server. */
class GotSockets {
  count = 0;
  /** Questions to be answered when all are closed. @type {number[]} */
  waiting = [];
}

/** All that one channel has sent and got. */
class SocketLists {
  /** @type {Map<string, SentSockets>} */
  #sent = new Map();
  /** @type {Map<string, GotSockets>} */
  #got = new Map();
  /** @type {Map<number, (answer: number) => void>} */
  #questions = new Map();
  #lastQuestion = 0;
  /** How many questions wait for an answer of ours. */
  #waiting = 0;

  #sendControl;

  /** @param {{ sendControl: (message: object) => boolean }} peer */
  constructor({ sendControl }) {
    this.#sendControl = sendControl;
  }

  /**
   * A socket of this server is being sent.
   *
   * @param {any} server
   */
  sent(server) {
    const key = keyOf(server);
    if (this.#sent.has(key)) return;
    const list = new SentSockets(this, key);
    this.#sent.set(key, list);
    countWith(server, list);
  }

  /**
   * A socket has come.
   *
   * @param {string} key
   * @param {import('node:net').Socket} socket
   */
  got(key, socket) {
    const list = this.#got.get(key) ?? new GotSockets();
    this.#got.set(key, list);
    list.count++;
    socket.once('close', () => {
      if (--list.count > 0) return;
      this.#got.delete(key);
      this.#waiting -= list.waiting.length;
      for (const question of list.waiting) this.#answer(question, 0);
    });
  }

  /**
   * @param {{ act: string, key: string }} question
   * @param {(answer: number) => void} callback
   */
  ask(question, callback) {
    const id = ++this.#lastQuestion;
    if (this.#sendControl({ ...question, question: id })) this.#questions.set(id, callback);
    else process.nextTick(callback, 0);
  }

  /**
   * Handles what the other side says of socket lists.
   *
   * @param {any} message
   * @returns {boolean} Whether it is one of the three that there are, and not one too many.
   */
  onControl({ act, key, question, answer }) {
    if (typeof question !== 'number') return false;
    const list = this.#got.get(key);
    if (act === 'socket-answer') {
      // An answer that nobody has asked for is nobody's business.
      this.#questions.get(question)?.(Number.isSafeInteger(answer) && answer > 0 ? answer : 0);
      this.#questions.delete(question);
    } else if (act === 'count-sockets' || !list) {
      this.#answer(question, list?.count ?? 0);
    } else {
      list.waiting.push(question);
      return ++this.#waiting <= MOST_WAITING;
    }
    return true;
  }

  /**
   * @param {number} question
   * @param {number} answer
   */
  #answer(question, answer) {
    this.#sendControl({ act: 'socket-answer', question, answer });
  }

  /** The other process is gone, and its sockets with it. */
  close() {
    for (const callback of this.#questions.values()) callback(0);
    this.#questions.clear();
    for (const list of this.#sent.values()) list.emit('exit', list);
    this.#sent.clear();
    // The sockets that it has sent may stay for long; what it has asked need not.
    for (const list of this.#got.values()) list.waiting = [];
  }
}

module.exports = { SocketLists };
