'use strict';

const fs = require('node:fs');

/**
 * @param {number} pid
 * @returns {number} the resident size in MB
 */
function residentMb(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

module.exports = { residentMb };
