'use strict';

const { Backoff, CrashLoop } = require('../../lib/supervisor/backoff');

const OPTIONS = { delay: 100, factor: 2, max: 1000, resetAfter: 30_000, limit: 3, window: 1000 };

describe('Backoff', () => {
  test('each crash makes the next delay longer, up to the longest', () => {
    const backoff = new Backoff(OPTIONS, () => 1);
    expect(Array.from({ length: 6 }, () => backoff.next(0))).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  test('a long life makes it short again', () => {
    const backoff = new Backoff(OPTIONS, () => 1);
    backoff.next(0);
    backoff.next(0);
    expect(backoff.next(29_999)).toBe(400);
    expect(backoff.next(30_000)).toBe(100);
    expect(backoff.next(0)).toBe(200);
  });

  test('half of it is chance', () => {
    expect(new Backoff(OPTIONS, () => 0).next(0)).toBe(50);
    expect(new Backoff(OPTIONS, () => 0.5).next(0)).toBe(75);
    const delays = Array.from({ length: 100 }, () => new Backoff(OPTIONS).next(0));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(100);
    expect(new Set(delays).size).toBeGreaterThan(5);
  });

  test('however many crashes, it is a number', () => {
    const backoff = new Backoff({ ...OPTIONS, factor: 10 }, () => 1);
    for (let i = 0; i < 1000; i++) expect(backoff.next(0)).toBeLessThanOrEqual(1000);
  });

  test('without delay there is none', () => {
    expect(new Backoff({ ...OPTIONS, delay: 0 }).next(0)).toBe(0);
  });
});

describe('CrashLoop', () => {
  test('so many crashes within the window are one', () => {
    const loop = new CrashLoop(OPTIONS);
    expect([0, 400, 800].map((time) => loop.crashed(time, true))).toEqual([0, 0, 3]);
  });

  test('what is older than the window does not count', () => {
    const loop = new CrashLoop(OPTIONS);
    expect([0, 600, 1000, 1700, 1800].map((time) => loop.crashed(time, true))).toEqual([0, 0, 0, 0, 3]);
  });

  test('it is told once, then counted anew', () => {
    const loop = new CrashLoop(OPTIONS);
    expect([0, 1, 2, 3, 4, 5].map((time) => loop.crashed(time, true))).toEqual([0, 0, 3, 0, 0, 3]);
  });

  test('before any worker was ready four are enough', () => {
    const loop = new CrashLoop({ ...OPTIONS, limit: 10 });
    expect([0, 1, 2, 3].map((time) => loop.crashed(time, false))).toEqual([0, 0, 0, 4]);
  });
});
