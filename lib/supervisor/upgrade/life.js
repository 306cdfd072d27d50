'use strict';

// An upgrade of the primary, as two tables: that of the old primary, and that of the new one, which starts beside it. Pure: who lives
// them (old_side.js, new_side.js) carries the actions out. docs/upgrade.md has what they say to each other.

/**
 * The old primary:
 *
 * - `starting`: the new one is a process that has not said anything yet,
 * - `giving`: it is given the listening sockets,
 * - `waiting`: its workers start, and get no connections,
 * - `committing`: it has been told to take over,
 * - `probation`: it accepts, we do not; our workers are there if it fails,
 * - `left`: it is the primary; we finish what we have,
 * - `over`: it has failed, or was not to be: all is as it was before.
 *
 * @typedef {'starting' | 'giving' | 'waiting' | 'committing' | 'probation' | 'left' | 'over'} OldState
 */

/**
 * - `hello`: it has said which protocol it speaks,
 * - `taken`: it has all sockets,
 * - `ready`: its workers are ready and have stayed so for a while,
 * - `confirmed`: it accepts,
 * - `proved`: it has done so for a while, and answers,
 * - `failed`: it has ended, said that it cannot, or not been ready in time,
 * - `stop`: the service is to stop.
 *
 * @typedef {'hello' | 'taken' | 'ready' | 'confirmed' | 'proved' | 'failed' | 'stop'} OldEvent
 */

/**
 * - `give`: the first of the sockets goes to it,
 * - `commit`: it is told to take over,
 * - `stepBack`: nothing is accepted here any more,
 * - `stepForth`: it is again, and what waits on the bridge is read back,
 * - `leave`: the service manager is told, and our workers finish what they have,
 * - `end`: it is killed, if it still runs,
 * - `refuse`: whoever asked for the upgrade hears that there is none,
 * - `passOn`: it is told to stop.
 *
 * @typedef {'give' | 'commit' | 'stepBack' | 'stepForth' | 'leave' | 'end' | 'refuse' | 'passOn'} OldAction
 */

/** @type {Readonly<Record<OldState, Partial<Record<OldEvent, readonly [OldState, ...OldAction[]]>>>>} */
const OLD = Object.freeze({
  starting: {
    hello: ['giving', 'give'],
    failed: ['over', 'end', 'refuse'],
    stop: ['over', 'end', 'refuse'],
  },
  giving: {
    taken: ['waiting'],
    failed: ['over', 'end', 'refuse'],
    stop: ['over', 'end', 'refuse'],
  },
  waiting: {
    ready: ['committing', 'commit'],
    failed: ['over', 'end', 'refuse'],
    stop: ['over', 'end', 'refuse'],
  },
  committing: {
    confirmed: ['probation', 'stepBack'],
    failed: ['over', 'end', 'refuse'],
    // It may accept already.
    stop: ['left', 'stepBack', 'leave', 'passOn'],
  },
  probation: {
    proved: ['left', 'leave'],
    failed: ['over', 'stepForth', 'end', 'refuse'],
    stop: ['left', 'leave', 'passOn'],
  },
  left: {
    stop: ['left', 'passOn'],
  },
  over: {},
});

/**
 * The new primary:
 *
 * - `preparing`: its workers start,
 * - `offering`: they are ready, and it has said so,
 * - `leading`: they get connections; the old primary's workers could still come back,
 * - `main`: it is the primary, and nobody else,
 * - `failed`: it ends.
 *
 * @typedef {'preparing' | 'offering' | 'leading' | 'main' | 'failed'} NewState
 */

/**
 * - `ready`: all workers are ready and have stayed so for a while, on all that the old ones listen on,
 * - `commit`: the old primary says: take over,
 * - `main`: and that it leaves,
 * - `end`: it has ended, whatever of,
 * - `broken`: a worker has died, or is not ready.
 *
 * @typedef {'ready' | 'commit' | 'main' | 'end' | 'broken'} NewEvent
 */

/**
 * - `offer`: the old primary is told,
 * - `lead`: workers get connections from now on,
 * - `confirm`: the old primary is told,
 * - `become`: the service manager is told from now on, by us,
 * - `giveUp`: the old primary is told why, and this process ends.
 *
 * @typedef {'offer' | 'lead' | 'confirm' | 'become' | 'giveUp'} NewAction
 */

/** @type {Readonly<Record<NewState, Partial<Record<NewEvent, readonly [NewState, ...NewAction[]]>>>>} */
const NEW = Object.freeze({
  preparing: {
    ready: ['offering', 'offer'],
    end: ['main', 'lead', 'become'],
    broken: ['failed', 'giveUp'],
  },
  offering: {
    commit: ['leading', 'lead', 'confirm'],
    end: ['main', 'lead', 'become'],
    broken: ['failed', 'giveUp'],
  },
  leading: {
    main: ['main', 'become'],
    end: ['main', 'become'],
  },
  main: {},
  failed: {},
});

/** @type {readonly []} */
const NOTHING = Object.freeze([]);

/**
 * What an event leads to. One that is not in the row of a state comes too late, or makes no sense, and changes nothing.
 *
 * @template {string} State
 * @template {string} Event
 * @template {string} Action
 * @param {Readonly<Record<State, Partial<Record<Event, readonly [State, ...Action[]]>>>>} table
 * @param {State} state
 * @param {Event} event
 * @returns {{ state: State, actions: readonly Action[] }}
 */
function next(table, state, event) {
  const step = table[state][event];
  if (!step) return { state, actions: NOTHING };
  const [following, ...actions] = step;
  return { state: following, actions: /** @type {Action[]} */ (actions) };
}

module.exports = { NEW, OLD, next };
