'use strict';

/** Counts the system calls of processes that should be making none. */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { Running } = require('./processes.js');

/** Attaching interrupts whatever the threads wait in, and each then waits anew: those calls are not theirs. */
const SETTLE_S = 1;

/** @returns {boolean} whether strace is installed and may be used */
function canTrace() {
  return spawnSync('strace', ['-V'], { stdio: 'ignore' }).status === 0;
}

/**
 * @param {number[]} pids
 * @param {number} seconds
 * @returns {Promise<{ perSecond: Record<number, number>, names: Record<string, number> }>} calls per second by
 *   process, all threads together, and the calls of all of them by name
 */
async function countCalls(pids, seconds) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-trace-'));
  const file = path.join(folder, 'calls');
  const owners = new Map(pids.flatMap((pid) => fs.readdirSync(`/proc/${pid}/task`).map((tid) => [Number(tid), pid])));
  // -e signal=none: only calls. -ttt: when, in seconds since 1970. With -f each line begins with the thread.
  const args = ['-f', '-ttt', '-qq', '-e', 'signal=none', '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])];
  const strace = new Running({ command: 'strace', args });
  try {
    await sleep(SETTLE_S * 1000);
    const from = Date.now() / 1000;
    await sleep(seconds * 1000);
    const until = Date.now() / 1000;
    await strace.stop();
    return tally(fs.readFileSync(file, 'utf8'), { owners, pids, from, until });
  } finally {
    await strace.stop();
    fs.rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} log
 * @param {{ owners: Map<number, number>, pids: number[], from: number, until: number }} of
 */
function tally(log, { owners, pids, from, until }) {
  /** @type {Record<number, number>} */
  const perSecond = Object.fromEntries(pids.map((pid) => [pid, 0]));
  /** @type {Record<string, number>} */
  const names = {};
  for (const line of log.split('\n')) {
    // `<... read resumed>` is the second half of a call that was counted with its first.
    const [, tid, at, name] = /^(\d+)\s+(\d+\.\d+) (\w+)\(/.exec(line) ?? [];
    const owner = owners.get(Number(tid));
    if (owner === undefined || Number(at) < from || Number(at) > until) continue;
    perSecond[owner] += 1 / (until - from);
    names[name] = (names[name] ?? 0) + 1;
  }
  return { perSecond, names };
}

module.exports = { canTrace, countCalls };
