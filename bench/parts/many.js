'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { NODE_RR } = require('../lib/rivals.js');
const { rivalEnv, script } = require('../lib/server.js');
const { Running } = require('../lib/processes.js');
const { runLoad, failures } = require('../lib/load.js');
const { watchCpu } = require('../lib/cpu.js');
const { residentMb } = require('../lib/memory.js');

const WORKERS = 4;
const MANY = 100_000;
const FEW = 100;
/** Each has descriptors and addresses for so many. */
const PIECE = 10_000;
/** Descriptors of a process that are not connections. */
const OTHERS = 1000;
/** Seconds that everything after the opening takes, at most. */
const LONG = 45;
const KB_PER_MB = 1024;

/** Lets the processes that we start have as many descriptors as that takes, where we may; says how many connections are possible. */
function room() {
  spawnSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${MANY}:${MANY}`]);
  const limit = Number(/Max open files\s+\d+\s+(\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  return Math.min(MANY, (limit - OTHERS) * WORKERS);
}

/** @param {number[]} pids @returns {number} */
const descriptors = (pids) => pids.reduce((sum, pid) => sum + fs.readdirSync(`/proc/${pid}/fd`).length, 0);

/** @param {number[]} pids @param {number} count */
async function untilTheyHave(pids, count) {
  for (const end = Date.now() + LONG * 1000; descriptors(pids) < count; await sleep(100)) {
    if (Date.now() > end) throw new Error(`${count} descriptors were wanted, and there are ${descriptors(pids)}`);
  }
}

/**
 * The memory of all processes once it no longer changes by much, in MB.
 *
 * @param {number[]} pids
 */
async function settled(pids) {
  await sleep(2000);
  return pids.reduce((sum, pid) => sum + residentMb(pid), 0);
}

/** @type {import('../lib/experiment.js').Experiment} */
const many = {
  name: 'many idle connections',
  about: `${MANY} idle connections over ${WORKERS} workers (fewer where the limit of descriptors is lower), beside short ones; and a reload that moves them.`,
  reference: NODE_RR,
  takesPart: ({ id }) => [NODE_RR, 'rcluster rr', 'rcluster least'].includes(id),
  metrics: {
    kb: { title: 'memory of all processes per idle connection', unit: 'kB', digits: 2, chart: true },
    few_us: { title: `CPU of the primary per short connection beside ${FEW} idle ones`, unit: 'µs', digits: 1 },
    many_us: { title: 'the same beside all of them', unit: 'µs', digits: 1 },
    reload_s: { title: 'a reload that moves all of them', unit: 's', digits: 1, chart: true },
    closed: { title: 'connections that it closed', unit: 'connections' },
    held: { title: 'idle connections', unit: 'connections' },
    failed: { title: 'failed', unit: 'connections' },
  },
  targets: [
    { text: 'memory per idle connection against node rr', rival: 'rcluster rr', metric: 'kb', of: 'ratio', againstRival: NODE_RR, atMost: 1.02 },
    { text: 'least: CPU of the primary per connection, with many idle ones against few', rival: 'rcluster least', metric: 'many_us', of: 'ratio', againstMetric: 'few_us', atMost: 1.05 },
    { text: 'reload, s', rival: 'rcluster least', metric: 'reload_s', of: 'value', atMost: 5 },
  ],
  async measure(rival, { programs, seconds, quick }) {
    const total = quick ? room() / 10 : room();
    const env = { ...rivalEnv(rival), BENCH_WORKERS: String(WORKERS) };
    const running = new Running({ command: process.execPath, args: [script('many.js')], env });
    try {
      const { port, primary, workers } = await running.line();
      const pids = [primary, ...workers];
      const short = { connections: 64, sources: 64 };
      const hold = (/** @type {number} */ count, /** @type {number} */ time) =>
        runLoad(programs.load, port, { hold: count, sources: 64, seconds: time });
      const cost = async () => {
        const cpu = watchCpu({ primary, workers });
        const { requests } = await runLoad(programs.load, port, { ...short, seconds: seconds(2) });
        return cpu().primary / requests;
      };
      await runLoad(programs.load, port, { ...short, seconds: seconds(2) });
      const [few_us] = await Promise.all([cost(), hold(FEW, seconds(2) + 1)]);
      const before = await settled(pids);
      const open = descriptors(workers);
      const pieces = Array.from({ length: Math.ceil(total / PIECE) }, (_, index) => Math.min(PIECE, total - index * PIECE));
      const [reports, sample] = await Promise.all([
        Promise.all(pieces.map((count) => hold(count, LONG))),
        (async () => {
          await untilTheyHave(workers, open + total);
          const kb = (((await settled(pids)) - before) * KB_PER_MB) / total;
          return { kb, many_us: await cost(), ...(rival.kind === 'rcluster' && (await reload(running, LONG))) };
        })(),
      ]);
      return { ...sample, few_us, held: total, failed: reports.reduce((sum, report) => sum + failures(report), 0) };
    } finally {
      await running.stop();
    }
  },
};

/** @param {Running} running @param {number} patience seconds */
async function reload(running, patience) {
  running.timeout = patience * 1000;
  const { time, workers } = await running.next();
  const closed = workers.reduce((/** @type {number} */ sum, /** @type {any} */ { cut, finished }) => sum + cut + finished, 0);
  return { reload_s: time / 1000, closed };
}

module.exports = [many];
