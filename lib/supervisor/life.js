'use strict';

// The life of a supervised worker, as a table. Pure: who lives it (occupant.js) carries the actions out.

/**
 * - `starting`: forked; gets no connections,
 * - `running`: its time to get ready is over and it does not listen; it may be slow, or one that never listens,
 * - `ready`: does its work,
 * - `retiring`: out of the rotation, finishes what it has,
 * - `failed`: was not ready in time, and is killed for it,
 * - `exited`.
 *
 * @typedef {'starting' | 'running' | 'ready' | 'retiring' | 'failed' | 'exited'} State
 */

/**
 * - `ready`: what is asked for has happened,
 * - `presumed`: its time is over, and nothing says that it must listen,
 * - `overtime`: its time is over, and it had to be ready,
 * - `retire`: it is told to leave,
 * - `crashing`: it says that it will exit for an error,
 * - `unlinked`: its channel has ended, and its process lives on,
 * - `late`: the time to finish is over,
 * - `exit`: its process has ended, or could not be started.
 *
 * @typedef {'ready' | 'presumed' | 'overtime' | 'retire' | 'crashing' | 'unlinked' | 'late' | 'exit'} Event
 */

/**
 * - `begin`: it is told that it is ready; whoever waits for that goes on,
 * - `presume`: whoever waits for it goes on as well,
 * - `fail`: whoever waits for it hears that it will never be ready,
 * - `leave`: out of the rotation, and told to finish,
 * - `desert`: its place is free, though it is still there,
 * - `kill`: SIGKILL,
 * - `end`: everybody hears that it has ended.
 *
 * @typedef {'begin' | 'presume' | 'fail' | 'leave' | 'desert' | 'kill' | 'end'} Action
 */

/** @type {readonly Event[]} */
const EVENTS = Object.freeze(['ready', 'presumed', 'overtime', 'retire', 'crashing', 'unlinked', 'late', 'exit']);

/**
 * What an event leads to: the next state, and what is to be done. Events come in any order and at any time; one that is
 * not in the row of a state comes too late, and changes nothing.
 *
 * @type {Readonly<Record<State, Partial<Record<Event, readonly [State, ...Action[]]>>>>}
 */
const LIFE = Object.freeze({
  starting: {
    ready: ['ready', 'begin'],
    presumed: ['running', 'presume'],
    overtime: ['failed', 'fail', 'kill'],
    retire: ['retiring', 'fail', 'leave'],
    crashing: ['retiring', 'fail', 'leave', 'desert'],
    unlinked: ['failed', 'fail', 'kill'],
    exit: ['exited', 'fail', 'end'],
  },
  running: {
    ready: ['ready', 'begin'],
    retire: ['retiring', 'leave'],
    crashing: ['retiring', 'leave', 'desert'],
    unlinked: ['retiring', 'leave', 'desert'],
    exit: ['exited', 'end'],
  },
  ready: {
    retire: ['retiring', 'leave'],
    crashing: ['retiring', 'leave', 'desert'],
    unlinked: ['retiring', 'leave', 'desert'],
    exit: ['exited', 'end'],
  },
  retiring: {
    late: ['retiring', 'kill'],
    exit: ['exited', 'end'],
  },
  failed: {
    exit: ['exited', 'end'],
  },
  exited: {},
});

/** @type {readonly []} */
const NOTHING = Object.freeze([]);

/**
 * @param {State} state
 * @param {Event} event
 * @returns {{ state: State, actions: readonly Action[] }}
 */
function next(state, event) {
  const step = LIFE[state][event];
  if (!step) return { state, actions: NOTHING };
  const [following, ...actions] = step;
  return { state: following, actions };
}

module.exports = { EVENTS, STATES: Object.freeze(/** @type {State[]} */ (Object.keys(LIFE))), next };
