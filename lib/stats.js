'use strict';

// What a worker's board says, in the shape in which programs get it.

/** Up to how long (ms) what is counted in each bucket of a histogram has taken; the last bucket is for what took longer. */
const BOUNDS = Object.freeze([0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]);
const BUCKETS = BOUNDS.length + 1;

/**
 * How long something took, each time that it happened.
 *
 * @typedef {object} Histogram
 * @property {number} count
 * @property {number} sum ms
 * @property {number} p50 ms, estimated from the buckets, as the two that follow.
 * @property {number} p90
 * @property {number} p99
 * @property {readonly number[]} bounds ms
 * @property {number[]} counts
 */

/**
 * @typedef {object} Stats
 * @property {{ active: number, queued: number, total: number }} connections
 * @property {{ utilization: number, longestTurn: number, turns: number, delay: Histogram }} loop
 * @property {Histogram} waiting
 * @property {{ requests: number, errors: number, time: Histogram } | undefined} http
 */

/**
 * How long (ms) this part of them took at most, taken as evenly spread within a bucket. Longer than the last bound cannot be told.
 *
 * @param {number[]} counts
 * @param {number} count
 * @param {number} part 0 to 1
 */
function percentile(counts, count, part) {
  let rank = part * count;
  for (const [index, bound] of BOUNDS.entries()) {
    const from = BOUNDS[index - 1] ?? 0;
    if (counts[index] > 0 && rank <= counts[index]) return from + (bound - from) * (rank / counts[index]);
    rank -= counts[index];
  }
  return count > 0 ? /** @type {number} */ (BOUNDS.at(-1)) : 0;
}

/**
 * @param {number[]} numbers The sum, and the buckets.
 * @returns {Histogram}
 */
function histogram([sum, ...counts]) {
  const count = counts.reduce((all, one) => all + one, 0);
  const at = (/** @type {number} */ part) => percentile(counts, count, part);
  return { count, sum, p50: at(0.5), p90: at(0.9), p99: at(0.99), bounds: BOUNDS, counts };
}

/**
 * @param {import('./native-types').BoardReading} board
 * @param {number[]} numbers As `Link.readHistograms` gives them.
 * @returns {Stats}
 */
function statsOf({ active, queued, total, utilization, longestTurn, turns }, numbers) {
  const [waiting, delay] = [0, 1 + BUCKETS].map((start) => histogram(numbers.slice(start, start + 1 + BUCKETS)));
  const [isCounted, requests, errors, ...time] = numbers.slice(2 * (1 + BUCKETS));
  return {
    connections: { active, queued, total },
    loop: { utilization, longestTurn, turns, delay },
    waiting,
    http: isCounted ? { requests, errors, time: histogram(time) } : undefined,
  };
}

/** What the board of a worker says that has none. */
const NO_BOARD = Object.freeze({ taken: 0, active: 0, total: 0, queued: 0, turns: 0, runningFor: 0, utilization: 0, longestTurn: 0 });

/** The same in that shape. */
const noStats = () => statsOf(NO_BOARD, Array(3 * (1 + BUCKETS) + 3).fill(0));

module.exports = { BOUNDS, noStats, statsOf };
