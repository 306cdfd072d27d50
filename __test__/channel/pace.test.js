'use strict';

// When messages are written: lib/channel/pace.js alone.

const { Pace } = require('../../lib/channel/pace.js');

/**
 * Sends so many short messages in one tick.
 *
 * @param {Pace} pace
 * @param {number} count
 * @returns {number[]} how many messages each write had; the last is that at the end of the tick
 */
function tick(pace, count) {
  const writes = [];
  let gathered = 0;
  pace.beginTick();
  for (let sent = 0; sent < count; sent++) {
    gathered++;
    if (!pace.isDue(0)) continue;
    writes.push(gathered);
    gathered = 0;
  }
  pace.endTick();
  return [...writes, gathered];
}

let now = 1000;
beforeEach(() => jest.spyOn(Date, 'now').mockImplementation(() => now));
afterEach(() => jest.restoreAllMocks());

test('a few messages leave at once, each by itself, tick after tick', () => {
  const pace = new Pace();
  for (let round = 0; round < 3; round++) expect(tick(pace, 8)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0]);
});

test('a burst leaves in pieces that grow', () => {
  expect(tick(new Pace(), 8 + 16 + 32 + 64 + 64 + 5)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 16, 32, 64, 64, 5]);
});

test('a burst that goes on in the next tick begins with a piece; after a pause, or a calm tick, single messages are back', () => {
  const pace = new Pace();
  tick(pace, 20);
  expect(tick(pace, 20)).toEqual([16, 4]);
  now += 10;
  expect(tick(pace, 9)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1]);
  expect(tick(pace, 3)).toEqual([3]);
  expect(tick(pace, 3)).toEqual([1, 1, 1, 0]);
});

test('a piece does not wait when it is long, or old', () => {
  const pace = new Pace();
  tick(pace, 20);
  pace.beginTick();
  expect([pace.isDue(64 * 1024), pace.isDue(64 * 1024 + 1)]).toEqual([false, true]);
  now += 2;
  expect([1, 2, 3, 4].map(() => pace.isDue(0))).toEqual([false, false, false, true]);
});
