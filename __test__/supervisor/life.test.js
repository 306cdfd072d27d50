'use strict';

// The table of a worker's life: every event in every state, in any order.

const { EVENTS, STATES, next } = require('../../lib/supervisor/life');

/** All that can be reached from a state, with what was done on the way: `[state, actions, events]`. */
function walks(state, depth, actions = [], events = []) {
  if (depth === 0) return [[state, actions, events]];
  return EVENTS.flatMap((event) => {
    const step = next(state, event);
    return walks(step.state, depth - 1, [...actions, ...step.actions], [...events, event]);
  });
}

const count = (actions, wanted) => actions.filter((action) => action === wanted).length;

test('any event in any state leads to a state, and does nothing unknown', () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      const step = next(state, event);
      expect(STATES).toContain(step.state);
      for (const action of step.actions) expect(['begin', 'presume', 'fail', 'leave', 'desert', 'kill', 'end']).toContain(action);
    }
  }
});

test.each(STATES)('%s: the end of its process is its end, and said once', (state) => {
  const { state: end, actions } = next(state, 'exit');
  expect(end).toBe('exited');
  expect(count(actions, 'end')).toBe(state === 'exited' ? 0 : 1);
});

test('nothing happens after the end', () => {
  for (const event of EVENTS) expect(next('exited', event)).toEqual({ state: 'exited', actions: [] });
});

test('nobody is ready twice, leaves twice, ends twice, or gets ready once its place is free', () => {
  // One assertion for all: there are thousands of walks.
  const wrong = walks('starting', 5).filter(([, actions]) => {
    const left = actions.findIndex((action) => action === 'leave' || action === 'fail');
    return (
      ['begin', 'fail', 'leave', 'desert', 'end'].some((once) => count(actions, once) > 1) ||
      (left >= 0 && actions.slice(left).includes('begin')) ||
      // Whoever waits for it hears one thing or the other.
      (actions.includes('fail') && actions.includes('begin'))
    );
  });
  expect(wrong).toEqual([]);
});

test('whoever waits for it always hears of its end', () => {
  const ended = walks('starting', 4).filter(([state]) => state === 'exited');
  expect(ended.filter(([, actions]) => !['begin', 'presume', 'fail'].some((word) => actions.includes(word)))).toEqual([]);
});

test('once it fails or leaves, it cannot stay for ever: it is killed at once, or when its time to finish is over', () => {
  for (const [state] of walks('starting', 3)) {
    if (state === 'retiring') expect(next(state, 'late').actions).toContain('kill');
  }
  for (const state of STATES) {
    for (const event of EVENTS) {
      const step = next(state, event);
      if (step.state === 'failed' && state !== 'failed') expect(step.actions).toContain('kill');
    }
  }
});

test.each([
  ['starting', 'ready', 'ready'],
  ['starting', 'presumed', 'running'],
  ['running', 'ready', 'ready'],
  ['ready', 'unlinked', 'retiring'],
  ['ready', 'crashing', 'retiring'],
  ['retiring', 'ready', 'retiring'],
  ['retiring', 'unlinked', 'retiring'],
  ['ready', 'overtime', 'ready'],
  ['failed', 'ready', 'failed'],
])('%s, %s: %s', (state, event, following) => {
  expect(next(state, event).state).toBe(following);
});
