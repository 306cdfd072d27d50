'use strict';

// What the system knows about processes: proc(5).

const fs = require('node:fs');

/**
 * @param {number} pid
 * @returns {boolean} whether the process runs; one that has ended and only waits for its parent does not
 */
function isAlive(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The state follows the name, which stands in parentheses and may contain some itself.
    const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

/**
 * @param {number} pid
 * @returns {number[]} the pids of its children
 */
function childrenOf(pid) {
  return readdir(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      const text = fs.readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
      return text.split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

/**
 * @param {number} pid
 * @returns {string[]} what each open descriptor is, such as `socket:[123]`, sorted
 */
function openDescriptors(pid) {
  return readdir(`/proc/${pid}/fd`)
    .flatMap((fd) => {
      try {
        return [fs.readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed since
      }
    })
    .sort();
}

/**
 * @param {number} pid
 * @returns {number} clock ticks (100 per second) of processor time that it has used: one that has nothing to do uses none
 */
function ticksOf(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** @param {string} folder */
function readdir(folder) {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

module.exports = { childrenOf, isAlive, openDescriptors, ticksOf };
