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
  const late = { early: false, deaf: false, lived: 5000 };
  const early = { early: true, deaf: false, lived: 20 };
  const deaf = { early: true, deaf: true, lived: 20 };
  const working = { works: true, isOld: false, oldest: 0 };
  const old = { works: true, isOld: true, oldest: 0 };
  const neverWorked = { works: false, isOld: false, oldest: 0 };
  const loop = (crash, service, options = OPTIONS) => {
    const crashes = new CrashLoop(options);
    return (...times) => times.map((time) => crashes.crashed(time, crash, service)?.count ?? 0);
  };

  test('so many crashes within the window are one', () => {
    expect(loop(late, working)(0, 400, 800)).toEqual([0, 0, 3]);
  });

  test('what is older than the window does not count', () => {
    expect(loop(late, working)(0, 600, 1000, 1700, 1800)).toEqual([0, 0, 0, 0, 3]);
  });

  test('it is told once, then counted anew', () => {
    expect(loop(late, working)(0, 1, 2, 3, 4, 5)).toEqual([0, 0, 3, 0, 0, 3]);
  });

  describe('four are enough, and fatal,', () => {
    const times = [0, 1, 2, 3];
    const last = (crash, service) => {
      const crashes = new CrashLoop({ ...OPTIONS, limit: 10 });
      return times.map((time) => crashes.crashed(time, crash, service)).at(-1);
    };

    test('before any worker has stayed alive for a while', () => {
      expect(last(early, neverWorked)).toEqual({ count: 4, fatal: true, early: true });
      expect(last(early, working)).toBe(undefined);
    });

    test('but not when somebody has killed them', () => {
      expect(last(late, neverWorked)).toBe(undefined);
    });

    test('when they cannot listen, as long as none has lived for long', () => {
      expect(last(deaf, working)).toEqual({ count: 4, fatal: true, early: false });
      expect(last(deaf, old)).toBe(undefined);
    });
  });

  test('where one has outlived them, it is not fatal', () => {
    for (const [crash, service] of [[early, neverWorked], [deaf, working]]) {
      expect(loop(crash, { ...service, oldest: 140 }, { ...OPTIONS, limit: 10 })(0, 1, 2, 3)).toEqual([0, 0, 0, 4]);
      expect(loop(crash, { ...service, oldest: 141 }, { ...OPTIONS, limit: 10 })(0, 1, 2, 3)).toEqual([0, 0, 0, 0]);
    }
  });

  test('of a service that works it is not fatal', () => {
    const crashes = new CrashLoop({ ...OPTIONS, limit: 2 });
    expect([0, 1].map((time) => crashes.crashed(time, early, old))).toEqual([undefined, { count: 2, fatal: false, early: false }]);
  });
});
