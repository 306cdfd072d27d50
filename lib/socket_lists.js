'use strict';

// A server whose sockets were sent to another process still counts them: `server.getConnections()` and
// `server.close()` ask that process.

const EventEmitter = require('node:events');

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

/** The receiver's side: counts the sockets that came from one server. */
class GotSockets extends EventEmitter {
  count = 0;

  /** @param {import('node:net').Socket} socket */
  add(socket) {
    this.count++;
    socket.once('close', () => {
      if (--this.count === 0) this.emit('empty');
    });
  }
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

  /** @param {import('./channel.js').MessageChannel} channel */
  constructor(channel) {
    this.channel = channel;
  }

  /**
   * A socket of this server is being sent.
   *
   * @param {any} server
   */
  sent(server) {
    const key = server._connectionKey;
    if (this.#sent.has(key)) return;
    const list = new SentSockets(this, key);
    this.#sent.set(key, list);
    server._setupWorker(list);
  }

  /**
   * A socket has come.
   *
   * @param {string} key
   * @param {import('node:net').Socket} socket
   */
  got(key, socket) {
    let list = this.#got.get(key);
    if (!list) this.#got.set(key, (list = new GotSockets()));
    list.add(socket);
  }

  /**
   * @param {{ act: string, key: string }} question
   * @param {(answer: number) => void} callback
   */
  ask(question, callback) {
    const id = ++this.#lastQuestion;
    if (this.channel.sendControl({ ...question, question: id })) this.#questions.set(id, callback);
    else process.nextTick(callback, 0);
  }

  /**
   * Handles what the other side says of socket lists.
   *
   * @param {any} message
   */
  onControl(message) {
    const { act, key, question, answer } = message;
    if (act === 'socket-answer') {
      this.#questions.get(question)?.(Number(answer) || 0);
      this.#questions.delete(question);
    } else if (act === 'count-sockets') {
      this.#answer(question, this.#got.get(key)?.count ?? 0);
    } else {
      const list = this.#got.get(key);
      if (list?.count) list.once('empty', () => this.#answer(question, 0));
      else this.#answer(question, 0);
    }
  }

  /**
   * @param {number} question
   * @param {number} answer
   */
  #answer(question, answer) {
    this.channel.sendControl({ act: 'socket-answer', question, answer });
  }

  /** The other process is gone, and its sockets with it. */
  close() {
    for (const callback of this.#questions.values()) callback(0);
    this.#questions.clear();
    for (const list of this.#sent.values()) list.emit('exit', list);
    this.#sent.clear();
  }
}

module.exports = { SocketLists };
