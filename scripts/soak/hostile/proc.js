'use strict';

// What a process costs: proc(5).

const fs = require('node:fs');

/** Ticks of the processor's clock per second, as Linux counts for everybody. */
const TICKS = 100;

/**
 * @param {number} pid
 * @returns {{ fds: number, mib: number, cpu: number } | undefined} `cpu` in ms since its start; `undefined` when it is gone
 */
function costs(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const mib = Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
    const cpu = ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
    return { fds: fs.readdirSync(`/proc/${pid}/fd`).length, mib: Math.round(mib), cpu };
  } catch {
    return undefined;
  }
}

module.exports = { costs };
