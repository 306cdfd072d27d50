'use strict';

// The life of a worker in the primary. Pure: (state, event) → (state, actions). Whoever calls carries the actions out.
//
// The primary learns of a worker's exit, of the end of its channel and of its messages in any order: that the exit is seen
// first is usual. So what a worker wrote before it died comes when it is dead; it is told to the user as Node tells it, but
// takes nothing and gives nothing to a worker that is no more.

/**
 * - `starting`: its process has been asked for, and has not been heard of;
 * - `online`: its code runs;
 * - `listening`: a server of its has listened;
 * - `leaving`: it ends on purpose, by its own or by our will: it gets no new listeners;
 * - `dropped`: it broke a rule, and has lost its channel, of whose end we are still to hear;
 * - `cutOff`: the channel has ended, and its process has not;
 * - `exited`: its process has ended, and what it wrote before has not all been read;
 * - `gone`: both have ended.
 *
 * @typedef {'starting' | 'online' | 'listening' | 'leaving' | 'dropped' | 'cutOff' | 'exited' | 'gone'} State
 */

/**
 * What can happen. Of its process: `exit`, `unstarted` (there never was one: its channel is still there, or not even that
 * with `unmade`). Of its channel: `channelEnd`. Its messages: `online`, `listen`, `accepting`, `listening`, `close`, `disown`,
 * `move`, `exitedAfterDisconnect`. By the user: `disconnect`, `destroy`. By a supervisor: `release` into the rotation,
 * `retire` out of it, `finish` with all others. By whoever finds that it broke a rule: `giveUp`; by its channel, which has ended
 * for that, `malformed`.
 *
 * @typedef {'exit' | 'unstarted' | 'unmade' | 'channelEnd' | 'online' | 'listen' | 'accepting' | 'listening' | 'close' | 'disown'
 *   | 'move' | 'exitedAfterDisconnect' | 'disconnect' | 'destroy' | 'release' | 'retire' | 'finish' | 'giveUp' | 'malformed'} Event
 */

/**
 * What is to be done, in this order:
 *
 * - `intend`: it ends on purpose (`exitedAfterDisconnect`);
 * - `answer`: tell it that this is known;
 * - `tellToLeave`: send it what `disconnect()` sends;
 * - `join`, `accept`, `part`, `disown`, `move`, `release`: what it has asked for, of the listeners;
 * - `endChannel`: it is not listened to any more;
 * - `leaveAcceptor`: its number in the acceptor is nobody's from now on;
 * - `closeLink`: what was made for a process that never was is closed;
 * - `leaveListeners`: it serves none any more;
 * - `unlist`: out of `cluster.workers`; `unlistIfCut`: the same, unless its channel can still bring something;
 * - `kill`: a signal to its process;
 * - `lookAround`: if nobody is left, and nobody is forked by those who are told next, nothing stays open for workers to come;
 * - `emitOnline`, `emitListening`, `emitDisconnect`, `emitExit`, `report`: tell the user. Last, as listeners may throw.
 *
 * @typedef {'intend' | 'answer' | 'tellToLeave' | 'join' | 'accept' | 'part' | 'disown' | 'move' | 'release' | 'endChannel'
 *   | 'leaveAcceptor' | 'closeLink' | 'leaveListeners' | 'unlist' | 'unlistIfCut' | 'kill' | 'emitOnline' | 'emitListening'
 *   | 'emitDisconnect' | 'emitExit' | 'report' | 'lookAround'} Action
 */

/** @typedef {{ to?: State, actions: readonly Action[] }} Step */

/**
 * @param {Action[]} actions
 * @returns {Step}
 */
const stay = (...actions) => ({ actions });

/**
 * @param {State} to
 * @param {Action[]} actions
 * @returns {Step}
 */
const go = (to, ...actions) => ({ to, actions });

/** Of a process that runs and can be heard. @type {Partial<Record<Event, Step>>} */
const ALIVE = {
  online: go('online', 'emitOnline'),
  listen: stay('join'),
  accepting: stay('accept'),
  listening: go('listening', 'emitListening'),
  close: stay('part'),
  disown: stay('disown'),
  move: stay('move'),
  exitedAfterDisconnect: go('leaving', 'intend', 'answer'),
  disconnect: go('leaving', 'intend', 'tellToLeave', 'leaveListeners', 'unlist'),
  destroy: stay('kill'),
  release: stay('release'),
  retire: go('leaving', 'intend', 'leaveListeners'),
  finish: go('leaving', 'intend'),
  // Its channel tells of it in a moment, and so do we.
  giveUp: go('dropped', 'endChannel', 'leaveAcceptor', 'leaveListeners'),
  malformed: go('dropped', 'leaveAcceptor', 'leaveListeners', 'report'),
  channelEnd: go('cutOff', 'leaveListeners', 'lookAround', 'emitDisconnect'),
  exit: go('exited', 'leaveAcceptor', 'leaveListeners', 'unlistIfCut', 'lookAround', 'emitExit'),
};

/** As Node does, in a worker without a channel. @type {Partial<Record<Event, Step>>} */
const UNHEARD = {
  disconnect: stay('intend', 'leaveListeners', 'unlist'),
  destroy: stay('kill'),
  retire: stay('intend', 'leaveListeners'),
  finish: stay('intend'),
  exit: go('gone', 'leaveAcceptor', 'leaveListeners', 'unlist', 'lookAround', 'emitExit'),
};

/** @type {Record<State, Partial<Record<Event, Step>>>} */
const LIFE = {
  starting: {
    ...ALIVE,
    unstarted: go('exited', 'closeLink'),
    unmade: go('gone', 'unlist'),
  },
  online: ALIVE,
  // It says that it is online once, unless it is up to something: it listens all the same.
  listening: { ...ALIVE, online: stay('emitOnline') },
  leaving: {
    ...ALIVE,
    online: stay('emitOnline'),
    // It gets no answer, as in Node.
    listen: stay(),
    listening: stay('emitListening'),
    exitedAfterDisconnect: stay('intend', 'answer'),
    disconnect: stay('intend', 'tellToLeave', 'leaveListeners', 'unlist'),
    release: stay(),
    retire: stay('intend', 'leaveListeners'),
    finish: stay('intend'),
  },
  dropped: {
    ...UNHEARD,
    exit: go('exited', 'leaveListeners', 'unlistIfCut', 'lookAround', 'emitExit'),
    channelEnd: go('cutOff', 'lookAround', 'emitDisconnect'),
    malformed: stay('report'),
  },
  cutOff: {
    ...UNHEARD,
    // What it writes into its queue is still read, as it may have connections to give back.
    giveUp: stay('leaveAcceptor', 'report'),
    malformed: stay('leaveAcceptor', 'report'),
  },
  // What it said before is told; of what it asked for only what concerns others is done.
  exited: {
    online: stay('emitOnline'),
    listening: stay('emitListening'),
    close: stay('part'),
    move: stay('move'),
    exitedAfterDisconnect: stay('intend'),
    disconnect: stay('intend', 'unlist'),
    retire: stay('intend'),
    finish: stay('intend'),
    giveUp: stay('endChannel'),
    malformed: stay('report'),
    channelEnd: go('gone', 'unlist', 'lookAround', 'emitDisconnect'),
  },
  gone: {
    disconnect: stay('intend', 'unlist'),
    retire: stay('intend'),
    finish: stay('intend'),
    // The end of what it wrote made no sense.
    malformed: stay('report'),
  },
};

/** @type {readonly State[]} */
const STATES = Object.freeze(/** @type {State[]} */ (Object.keys(LIFE)));

/** @type {readonly Event[]} */
const EVENTS = Object.freeze(/** @type {Event[]} */ ([...new Set(Object.values(LIFE).flatMap((steps) => Object.keys(steps)))]));

/**
 * What becomes of a worker in this state when this happens: of most that comes late, nothing.
 *
 * @param {State} state
 * @param {Event} event
 * @returns {{ state: State, actions: readonly Action[] }}
 */
function next(state, event) {
  const { to = state, actions } = LIFE[state][event] ?? stay();
  return { state: to, actions };
}

module.exports = { EVENTS, STATES, next };
