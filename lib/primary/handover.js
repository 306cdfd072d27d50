'use strict';

// What passes between our listeners and those of another primary: the one that comes after us, or the one that was before us (upgrade/).

const { system } = require('../errors.js');
const { errno } = require('./opener.js');

/** @typedef {import('./listeners.js').Entry} Entry */

/** @typedef {(key: string, fd: number, left: number) => void} OnMoved Gets a connection, and owns the descriptor. */

/**
 * @typedef {object} Handed A listener, for another primary; or a socket that nobody has asked for, without a key.
 * @property {string} name In words.
 * @property {string} [key]
 * @property {number} [id] The acceptor's, if it accepts.
 * @property {unknown} [data] What servers said of themselves.
 * @property {number} [seat] Whose address it is, if it is for the worker of one seat.
 * @property {number} [inherited] The number of the descriptor, where it was asked for by that.
 * @property {number[]} fds
 * @property {string[]} names Of each of them, as in LISTEN_FDNAMES.
 */

/**
 * @typedef {object} Ways
 * @property {() => Pick<import('../native-types').Native, 'closeFd' | 'duplicateFd' | 'isConnection'>} native
 * @property {import('./guarded.js').Guarded} guarded
 * @property {import('./heirs.js').Shares} shares
 * @property {() => import('../native-types').Acceptor} acceptor
 * @property {() => import('../native-types').Acceptor | undefined} startedAcceptor If it has been needed so far.
 * @property {() => Entry[]} entries
 * @property {(key: string) => Entry | undefined} entryOf
 * @property {(entry: Entry) => void} onLeft Nobody listens there any more; who does may still come.
 */

class Handover {
  /** Whether another primary has all of it. */
  isDone = false;
  /** What the primary before us has said of each of its listeners, by key. @type {Map<string, { id?: number, data: unknown }>} */
  #before = new Map();
  /** Gets what moves while another primary has our listeners, if the acceptor has no part in it. @type {OnMoved | undefined} */
  #onMoved;
  #ways;

  /** @param {Ways} ways */
  constructor(ways) {
    this.#ways = ways;
  }

  /**
   * All that workers listen on, and what nobody has asked for yet, for a primary that starts beside us.
   *
   * @returns {Handed[]} Whoever gets them closes the descriptors.
   */
  toHandOver() {
    /** @type {Handed[]} */
    const all = [];
    const add = (/** @type {Handed} */ handed) => {
      all.push(handed);
      if (handed.inherited === undefined && handed.fds.length === 0) throw system(-errno().EMFILE, 'dup');
    };
    try {
      for (const entry of this.#ways.entries()) add(this.#describe(entry));
      for (const { name, fd } of this.#ways.guarded.unclaimed) add({ name, ...this.#copies([fd], () => name) });
      return all;
    } catch (error) {
      for (const { fds } of all) for (const fd of fds) this.#ways.native().closeFd(fd);
      throw error;
    }
  }

  /**
   * @param {Entry} entry
   * @returns {Handed}
   */
  #describe({ key, name, accepted, id, data, question, distributed, ours, seat }) {
    const handed = { key, name, ...(accepted && { id }), data, seat };
    // It has the same descriptor under the same number.
    if (question.fd !== null) return { ...handed, inherited: question.fd, fds: [], names: [] };
    const nameIn = (/** @type {number} */ fd) => (ours ? this.#ways.guarded.nameOf(question, distributed, fd) : '');
    if (!accepted) return { ...handed, ...this.#copies([id], nameIn) };
    const fds = this.#ways.acceptor().listenerFds(id);
    return { ...handed, fds, names: fds.map(nameIn) };
  }

  /**
   * @param {number[]} fds
   * @param {(fd: number) => string} nameIn
   */
  #copies(fds, nameIn) {
    const copies = fds.map((fd) => this.#ways.native().duplicateFd(fd)).filter((fd) => fd >= 0);
    return { fds: copies, names: copies.map(nameIn) };
  }

  /**
   * Another primary accepts from all our listeners from now on.
   *
   * @param {number} out Where what nobody has taken goes.
   * @param {number} back The other end of it.
   * @param {OnMoved} onMoved
   */
  handOver(out, back, onMoved) {
    this.isDone = true;
    this.#onMoved = onMoved;
    this.#ways.acceptor().handOver(out, back);
  }

  /** The other primary has died: all is as it was. */
  handBack() {
    this.isDone = false;
    this.#onMoved = undefined;
    this.#ways.acceptor().handBack();
    // What workers have left meanwhile.
    for (const entry of this.#ways.entries()) if (entry.workers.size === 0 && entry.seat === undefined) this.#ways.onLeft(entry);
  }

  /** How many connections are still to go to the other primary. */
  get crossing() {
    return this.#ways.startedAcceptor()?.crossing()[1] ?? 0;
  }

  /** The primary before us has left, and all is ours. */
  own() {
    this.#ways.guarded.isBorrowed = false;
  }

  /**
   * What the primary before us has said of its listeners. It still serves from them.
   *
   * @param {{ key: string, id?: number, data: unknown }[]} handed
   */
  remember(handed) {
    this.#ways.guarded.isBorrowed = true;
    for (const { key, id, data } of handed) this.#before.set(key, { id, data });
  }

  /** The keys of those on which nobody of ours listens. */
  get missed() {
    return [...this.#before.keys()].filter((key) => !this.#ways.entryOf(key));
  }

  /**
   * What comes back to the primary before us comes over a bridge.
   *
   * @param {number} fd Our end.
   */
  addSource(fd) {
    /** @type {[number, number][]} */
    const pairs = [...this.#before].flatMap(([key, { id }]) => {
      const entry = this.#ways.entryOf(key);
      return entry?.accepted && id !== undefined ? [[id, entry.id]] : [];
    });
    this.#ways.acceptor().addSource(fd, pairs.map(([theirs]) => theirs), pairs.map(([, ours]) => ours));
  }

  /**
   * A connection that the primary before us had, and that the acceptor has no part in.
   *
   * @param {string} key
   * @param {number} fd Stays open.
   * @param {number} left How long it may stay idle.
   */
  adopt(key, fd, left) {
    const workers = [...(this.#ways.entryOf(key)?.workers ?? [])].filter((worker) => !worker.held);
    const passOn = (/** @type {any} */ worker) => worker.channel?.passOn({ act: 'adopt', key, left }, fd, worker.channel);
    const to = this.#ways.shares.inOrder(workers, undefined).find(passOn);
    if (to) this.#ways.shares.give(to);
  }

  /**
   * What servers said of themselves to the primary before us.
   *
   * @param {string} key
   */
  dataBefore(key) {
    return this.#before.get(key)?.data ?? null;
  }

  /**
   * A connection that moves goes to the other primary, if that has our listeners. Returns whether it does.
   *
   * @param {string} key
   * @param {number} fd Stays open.
   * @param {number} left How long it may stay idle.
   */
  takes(key, fd, left) {
    if (!this.#onMoved || !this.#ways.native().isConnection(fd)) return false;
    const copy = this.#ways.native().duplicateFd(fd);
    if (copy >= 0) this.#onMoved(key, copy, left);
    return true;
  }
}

module.exports = { Handover };
