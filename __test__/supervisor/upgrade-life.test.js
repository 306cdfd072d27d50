'use strict';

// The two tables of an upgrade: what holds in every state.

const { NEW, OLD, next } = require('../../lib/supervisor/upgrade/life.js');

const EVENTS = { old: ['hello', 'taken', 'ready', 'confirmed', 'proved', 'failed', 'stop'], new: ['ready', 'commit', 'main', 'end', 'broken'] };

/** All that can happen from a state on, each row once. */
function* ways(table, events, state, done = []) {
  yield { state, done };
  for (const event of events) {
    const step = next(table, state, event);
    if (step.state !== state) yield* ways(table, events, step.state, [...done, ...step.actions]);
  }
}

test('the old primary either leaves, or is as it was before', () => {
  for (const { state, done } of ways(OLD, EVENTS.old, 'starting')) {
    const count = (action) => done.filter((one) => one === action).length;
    if (state === 'over') {
      expect(done).toContain('refuse');
      expect(done).toContain('end');
      expect(count('stepForth')).toBe(count('stepBack'));
      expect(done).not.toContain('leave');
    } else {
      expect(done).not.toContain('refuse');
    }
    // Nobody leaves who has not stepped back before, and nobody steps back who has not said so.
    if (done.includes('leave')) expect(done.indexOf('stepBack')).toBeLessThan(done.indexOf('leave'));
    if (done.includes('stepBack')) expect(done.indexOf('commit')).toBeLessThan(done.indexOf('stepBack'));
    for (const action of ['give', 'commit', 'stepBack', 'leave', 'refuse']) expect(count(action)).toBeLessThanOrEqual(1);
  }
});

test('whatever has happened, the end of the new one before it is proved gives the service back, and afterwards nothing', () => {
  for (const state of ['starting', 'giving', 'waiting', 'committing', 'probation']) expect(next(OLD, state, 'failed').state).toBe('over');
  for (const state of ['left', 'over']) expect(next(OLD, state, 'failed')).toEqual({ state, actions: [] });
});

test('a stop before the new one has been told to take over ends that one, and afterwards is told to it', () => {
  for (const state of ['starting', 'giving', 'waiting']) expect(next(OLD, state, 'stop').actions).toContain('end');
  for (const state of ['committing', 'probation', 'left']) expect(next(OLD, state, 'stop').actions).toContain('passOn');
});

test('the new primary leads once, and when the old one has died it is the primary in every state but that of its own failure', () => {
  for (const { state, done } of ways(NEW, EVENTS.new, 'preparing')) {
    expect(done.filter((one) => one === 'lead').length).toBe(state === 'leading' || state === 'main' ? 1 : 0);
    expect(done.includes('become')).toBe(state === 'main');
    expect(next(NEW, state, 'end').state).toBe(state === 'failed' ? 'failed' : 'main');
  }
});

test('what has been taken over is not given up for a worker that dies', () => {
  for (const state of ['leading', 'main']) expect(next(NEW, state, 'broken')).toEqual({ state, actions: [] });
});
