'use strict';

const fs = require('node:fs');

/**
 * @param {number} pid
 * @returns {number} the resident size in MB
 */
function residentMb(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/**
 * @param {number} pid
 * @returns {number} the proportional size in MB: pages that several processes have count in equal parts for each
 */
function proportionalMb(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
}

module.exports = { residentMb, proportionalMb };
