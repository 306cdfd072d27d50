'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');

/** States of a connection that is there, in /proc/net/tcp: established, and one that the other side has closed. */
const THERE = ['01', '08'];

/**
 * Connections of a port that a process has in its hands. It stands still meanwhile.
 *
 * @param {number} pid
 * @param {number} port
 */
async function heldBy(pid, port) {
  process.kill(pid, 'SIGSTOP');
  const isStill = () => fs.readdirSync(`/proc/${pid}/task`).every((task) => /\) T/.test(fs.readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1')));
  while (!isStill()) await sleep(1);
  const sockets = new Set(fs.readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]));
  const lines = fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1).map((line) => line.trim().split(/\s+/));
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return lines.filter(([, local, , state, , , , , , inode]) => local?.endsWith(end) && THERE.includes(state) && sockets.has(inode)).length;
}

module.exports = { heldBy };
