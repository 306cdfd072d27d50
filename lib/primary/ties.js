'use strict';

// What the primary knows of a worker besides what `Worker` shows: its channel, its place in the acceptor, its state.

const { noStats, statsOf } = require('../stats.js');
const { Load } = require('./heirs.js');
const { next } = require('./life.js');

/** What the board of a worker says that has none. */
const NO_BOARD = Object.freeze({ taken: 0, active: 0, total: 0, queued: 0, turns: 0, runningFor: 0, utilization: 0, longestTurn: 0 });

class Ties {
  /** @type {import('./life.js').State} */
  state = 'starting';
  /** Whether it is kept out of the rotation for the time being. */
  held;
  /** Whether somebody takes its place when it ends. */
  supervised;
  /** The number of its seat, if it has one. @type {number | undefined} */
  seat;
  /** How many addresses it listens on (listeners.js counts). */
  joined = 0;
  /** Connections that were open in it when it ended. */
  lost = 0;
  /** Whether its connections may go on in other workers: it has been told to leave without losing them. */
  mayMove = false;
  /** Whether it has crashed, and goes on until it has finished what it has. */
  crashed = false;
  /** Who has taken its place. @type {Ties | undefined} */
  heir;
  /** Its connections, as those are counted who could get more. */
  load = new Load(() => this.board);
  /** Gets what only a supervisor understands. @type {(message: any) => void} */
  onControl = () => {};
  /** None if descriptors had run out. @type {import('../channel/channel.js').MessageChannel | undefined} */
  channel;
  /** @type {number | undefined} */
  #number;
  #ended = false;
  #link;
  #acceptor;

  /**
   * @param {import('../native-types').Link | undefined} link None if descriptors had run out.
   * @param {() => import('../native-types').Acceptor} acceptor
   * @param {{ held?: boolean, supervised?: boolean, seat?: number }} options
   */
  constructor(link, acceptor, { held = false, supervised = false, seat }) {
    this.#link = link;
    this.#acceptor = acceptor;
    this.held = held;
    this.supervised = supervised;
    this.seat = seat;
  }

  /**
   * Something has happened to the worker. Returns what is to be done for it.
   *
   * @param {import('./life.js').Event} event
   */
  step(event) {
    const { state, actions } = next(this.state, event);
    this.state = state;
    return actions;
  }

  /** The acceptor's number for it, if it has one. */
  get number() {
    return this.#number;
  }

  /**
   * The same, made when it is first needed. There is none for a worker that has ended.
   *
   * @returns {number | undefined}
   */
  enter() {
    if (this.#ended || !this.#link) return undefined;
    return (this.#number ??= this.#acceptor().addWorker(this.#link, this.seat));
  }

  /**
   * The acceptor's number is nobody's from now on: what comes late cannot touch who has it next.
   *
   * @returns {number | undefined} The number it had.
   */
  leaveAcceptor() {
    if (this.#ended) return undefined;
    this.#ended = true;
    const number = this.#number;
    this.#number = undefined;
    if (number === undefined) this.#link?.close();
    else this.lost = this.#acceptor().removeWorker(number);
    return number;
  }

  /**
   * Sends a message to the other side of rcluster.
   *
   * @param {object} message
   * @param {number} [fd]
   * @returns {boolean} Whether it could be sent.
   */
  tell(message, fd) {
    return this.channel?.sendControl(message, fd) ?? false;
  }

  get board() {
    return this.#link?.readBoard() ?? NO_BOARD;
  }

  /** What the board says, in the shape in which programs get it. */
  get stats() {
    return this.#link ? statsOf(this.board, this.#link.readHistograms()) : noStats();
  }

  /** Makes an idle event loop turn. */
  nudge() {
    try {
      const number = this.enter();
      if (number !== undefined) this.#acceptor().nudge(number);
    } catch {
      // Descriptors have run out: whoever asks will ask again.
    }
  }
}

module.exports = { Ties };
