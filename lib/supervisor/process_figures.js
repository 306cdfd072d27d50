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

/**
 * Milliseconds of CPU time that a process has used; 0 when it has gone.
 *
 * @param {number | undefined} pid
 */
function cpu(pid) {
  // The second field is the name, in parentheses, and may hold anything.
  const stat = read(pid, 'stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / TICKS || 0;
}

module.exports = { cpu, memory };
