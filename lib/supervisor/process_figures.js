'use strict';

// What the kernel says about a process (see proc(5)).

const fs = require('node:fs');

/** Clock ticks of a second, on every Linux that Node runs on. */
const TICKS = 100;

/**
 * @param {number | undefined} pid
 * @param {string} file
 */
function read(pid, file) {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // It has gone.
  }
}

/**
 * Bytes of memory that a process has in use; 0 when it has gone.
 *
 * @param {number | undefined} pid
 */
function memory(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1] ?? 0) * 1024;
}

/** @param {number | undefined} pid */
function statOf(pid) {
  // The second field is the name, in parentheses, and may hold anything.
  const stat = read(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/**
 * When a process was started: milliseconds since the epoch; `undefined` when it has gone.
 *
 * @param {number} pid
 */
function startedAt(pid) {
  const fields = statOf(pid);
  if (fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const boot = Number(/^btime (\d+)$/m.exec(fs.readFileSync('/proc/stat', 'latin1'))?.[1] ?? 0);
  return boot * 1000 + (Number(fields[19]) * 1000) / TICKS;
}

/**
 * Milliseconds of CPU time that a process has used; 0 when it has gone.
 *
 * @param {number | undefined} pid
 */
function cpu(pid) {
  const fields = statOf(pid);
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / TICKS || 0;
}

module.exports = { cpu, memory, startedAt };
