'use strict';

/**
 * CPU time of other processes, from /proc.
 *
 * /proc/PID/stat counts utime and stime in ticks of 10 ms. The scheduler keeps the same sum in nanoseconds for each
 * thread (/proc/PID/task/TID/schedstat), which is what short rounds need. Work that the kernel does for a process in
 * its own context, such as taking a packet through loopback, is in both.
 */

const fs = require('node:fs');

const TICK_US = 10_000;

/**
 * CPU time of each thread of a process so far.
 * @param {number} pid
 * @returns {Record<string, number>} microseconds by `name#tid`
 */
function threadsUs(pid) {
  /** @type {Record<string, number>} */
  const threads = {};
  for (const tid of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      const task = `/proc/${pid}/task/${tid}`;
      const name = fs.readFileSync(`${task}/comm`, 'utf8').trim();
      threads[`${name}#${tid}`] = taskUs(task);
    } catch {
      // A thread that ended while we looked.
    }
  }
  return threads;
}

/** @param {string} task  its folder in /proc */
function taskUs(task) {
  try {
    return Number(fs.readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  } catch {
    // A kernel without scheduler statistics. The name, in parentheses, may itself hold spaces and parentheses.
    const stat = fs.readFileSync(`${task}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  }
}

/** @param {Record<string, number>} threads */
const sum = (threads) => Object.values(threads).reduce((total, us) => total + us, 0);

/**
 * Starts counting.
 * @param {{ primary: number, workers: number[] }} pids
 * @returns {() => { primary: number, all: number, threads: Record<string, number> }} gives the microseconds since:
 *   of the primary, of all processes, and of the primary's threads by name
 */
function watchCpu({ primary, workers }) {
  const read = () => [primary, ...workers].map(threadsUs);
  const before = read();
  return () => {
    const after = read();
    const spent = after.map((threads, i) => sum(threads) - sum(before[i]));
    /** @type {Record<string, number>} */
    const threads = {};
    for (const [key, us] of Object.entries(after[0])) {
      const name = key.slice(0, key.lastIndexOf('#'));
      threads[name] = (threads[name] ?? 0) + us - (before[0][key] ?? 0);
    }
    return { primary: spent[0], all: spent.reduce((total, us) => total + us, 0), threads };
  };
}

/** CPU time of a server over several stretches of time. */
class CpuMeter {
  primary = 0;
  all = 0;
  /** @type {Record<string, number>} */
  threads = {};

  /** @param {{ primary: number, workers: number[] }} pids */
  constructor(pids) {
    this.pids = pids;
  }

  /**
   * Counts what is used while something is done.
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  async during(action) {
    const used = watchCpu(this.pids);
    const result = await action();
    const { primary, all, threads } = used();
    this.primary += primary;
    this.all += all;
    for (const [name, us] of Object.entries(threads)) this.threads[name] = (this.threads[name] ?? 0) + us;
    return result;
  }
}

module.exports = { CpuMeter, watchCpu, threadsUs };
