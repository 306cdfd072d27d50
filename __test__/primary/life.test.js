'use strict';

// Every event in every state, without a process.

const { EVENTS, STATES, next } = require('../../lib/primary/life');

/** What is done and where it leads, for a sequence of events. */
function live(events, state = 'starting') {
  const done = [];
  for (const event of events) {
    const step = next(state, event);
    state = step.state;
    done.push(...step.actions);
  }
  return { state, done };
}

const count = (done, action) => done.filter((one) => one === action).length;

/** All orders of so many events. */
function* sequences(length, events = EVENTS) {
  if (length === 0) yield [];
  else for (const rest of sequences(length - 1, events)) for (const event of events) yield [...rest, event];
}

/** What touches the acceptor or a listener as a member of it, or speaks to the process. */
const OF_THE_LIVING = ['answer', 'tellToLeave', 'join', 'accept', 'disown', 'release', 'leaveAcceptor', 'leaveListeners', 'closeLink', 'kill'];

test('the states and events are those that are described', () => {
  expect(STATES).toEqual(['starting', 'online', 'listening', 'leaving', 'dropped', 'cutOff', 'exited', 'gone']);
  expect([...EVENTS].sort()).toEqual([
    'accepting', 'channelEnd', 'close', 'destroy', 'disconnect', 'disown', 'exit', 'exitedAfterDisconnect', 'finish', 'giveUp', 'listen',
    'listening', 'malformed', 'move', 'online', 'release', 'retire', 'unmade', 'unstarted',
  ]);
});

test('whatever comes late touches nothing of the living', () => {
  const touched = ['exited', 'gone'].flatMap((state) =>
    EVENTS.flatMap((event) => next(state, event).actions.filter((action) => OF_THE_LIVING.includes(action)).map((action) => [state, event, action])),
  );
  expect(touched).toEqual([]);
});

test('of a worker that has died, what it said before is told, what it closed is closed, what it moved is moved', () => {
  const told = Object.fromEntries(EVENTS.map((event) => [event, next('exited', event).actions]).filter(([, actions]) => actions.length > 0));
  expect(told).toEqual({
    online: ['emitOnline'],
    listening: ['emitListening'],
    close: ['part'],
    move: ['move'],
    exitedAfterDisconnect: ['intend'],
    disconnect: ['intend', 'unlist'],
    retire: ['intend'],
    finish: ['intend'],
    giveUp: ['endChannel'],
    malformed: ['report'],
    channelEnd: ['unlist', 'lookAround', 'emitDisconnect'],
  });
});

test('a worker that is gone stays so', () => {
  expect(EVENTS.map((event) => next('gone', event).state)).toEqual(EVENTS.map(() => 'gone'));
});

test('its end, in either order and from every state: told once, its number given back, its listeners left, out of the list', () => {
  for (const state of ['starting', 'online', 'listening', 'leaving', 'dropped']) {
    for (const ends of [['exit', 'channelEnd'], ['channelEnd', 'exit']]) {
      const before = state === 'dropped' ? ['giveUp'] : [];
      const { state: last, done } = live([...before, ...ends], state === 'dropped' ? 'listening' : state);
      expect(last).toBe('gone');
      for (const action of ['emitExit', 'emitDisconnect']) expect([state, ends, action, count(done, action)]).toEqual([state, ends, action, 1]);
      // Doing these twice is doing them once.
      for (const action of ['leaveAcceptor', 'leaveListeners']) expect(done).toContain(action);
      expect(done.lastIndexOf('unlist')).toBeGreaterThan(done.indexOf(ends[0] === 'exit' ? 'emitExit' : 'emitDisconnect'));
    }
  }
});

test('whatever happens in whatever order, a worker that has ended is nobody in the acceptor and serves no listener', () => {
  let looked = 0;
  const possible = EVENTS.filter((event) => !event.startsWith('un'));
  for (const events of sequences(4, possible)) {
    let state = 'starting';
    let inAcceptor = false;
    let listens = false;
    for (const event of events) {
      const step = next(state, event);
      for (const action of step.actions) {
        if (action === 'join') inAcceptor = listens = true;
        if (action === 'leaveAcceptor') inAcceptor = false;
        if (action === 'leaveListeners') listens = false;
        if (['accept', 'release'].includes(action)) inAcceptor = listens = true;
      }
      state = step.state;
      const ended = ['exited', 'gone'].includes(state);
      if ((ended && (inAcceptor || listens)) || (['dropped', 'cutOff'].includes(state) && listens)) throw new Error(`${events} end ${state}`);
      looked++;
    }
    const { state: last } = live(['exit', 'channelEnd'], state);
    if (last !== 'gone') throw new Error(`after ${events} it is ${last}`);
  }
  expect(looked).toBe(4 * possible.length ** 4);
});

test('whoever leaves, or was thrown out, gets no listener any more', () => {
  expect(STATES.filter((state) => next(state, 'listen').actions.length > 0)).toEqual(['starting', 'online', 'listening']);
});

test('a broken rule ends the channel once, and is told once', () => {
  // The channel says that it has ended, and why, one after the other.
  for (const state of ['listening', 'leaving', 'exited']) {
    const { done } = live(['giveUp', 'giveUp', 'channelEnd', 'malformed', 'exit'], state);
    expect([state, count(done, 'report')]).toEqual([state, 1]);
  }
  expect(count(live(['giveUp', 'giveUp', 'channelEnd', 'malformed'], 'listening').done, 'endChannel')).toBe(1);
  // What the channel itself has found wrong.
  for (const events of [['channelEnd', 'malformed'], ['malformed', 'channelEnd'], ['exit', 'channelEnd', 'malformed']]) {
    expect(count(live(events, 'listening').done, 'report')).toBe(1);
  }
  // There is no channel that could tell.
  expect(count(live(['channelEnd', 'giveUp', 'exit'], 'listening').done, 'report')).toBe(1);
});

test('what is told is told last: a listener may throw', () => {
  const order = (actions) => actions.map((action) => /^(emit|report)/.test(action));
  for (const state of STATES) {
    for (const event of EVENTS) {
      const tells = order(next(state, event).actions);
      expect([state, event, tells.indexOf(true) === -1 || tells.indexOf(true) === tells.length - 1]).toEqual([state, event, true]);
    }
  }
});

test('a process that was never started: its channel ends with nothing told of an exit', () => {
  expect(live(['unstarted', 'channelEnd'])).toEqual({ state: 'gone', done: ['closeLink', 'unlist', 'lookAround', 'emitDisconnect'] });
  expect(live(['unmade'])).toEqual({ state: 'gone', done: ['unlist'] });
});
