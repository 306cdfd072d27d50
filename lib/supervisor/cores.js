'use strict';

// How many cores there are for us: those that the scheduler may use, and no more than what a CPU quota (a container's limit, CPUQuota= of
// systemd) pays for. Node knows of quotas since libuv 1.49.1, which Node 20 does not have.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * Of a part of a core there is one all the same.
 *
 * @param {string} [root] As of `cpuQuota`.
 */
function availableCores(root) {
  return Math.max(1, Math.min(os.availableParallelism(), Math.floor(cpuQuota(root))));
}

/**
 * The smallest quota of the groups that we are in, in cores; `Infinity` without one.
 *
 * @param {string} [root] Where the file systems of the kernel are, for tests.
 */
function cpuQuota(root = '/') {
  const groups = read(path.join(root, 'proc/self/cgroup')) ?? '';
  const quotas = groups.split('\n').flatMap((line) => {
    const [, controllers, folder] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (folder === undefined) return [];
    // Version 2, then version 1.
    if (controllers === '') return [...upwards(folder)].flatMap((one) => ofMax(read(path.join(root, 'sys/fs/cgroup', one, 'cpu.max'))));
    if (!controllers.split(',').includes('cpu')) return [];
    return [...upwards(folder)].flatMap((one) => [controllers, 'cpu'].flatMap((mount) => {
      const file = (/** @type {string} */ name) => read(path.join(root, 'sys/fs/cgroup', mount, one, name));
      return ofMax(`${file('cpu.cfs_quota_us')?.trim()} ${file('cpu.cfs_period_us')?.trim()}`);
    }));
  });
  return Math.min(Infinity, ...quotas);
}

/**
 * A group and those above it: in a container its own name may mean nothing, and what is mounted is its own.
 *
 * @param {string} folder
 */
function* upwards(folder) {
  let one = path.normalize(folder);
  for (; one !== '/'; one = path.dirname(one)) yield one;
  yield one;
}

/**
 * @param {string | undefined} text `quota period` in µs.
 * @returns {number[]} One, or none.
 */
function ofMax(text) {
  const [, quota, period] = /^(\d+) (\d+)\s*$/.exec(text ?? '') ?? [];
  return Number(quota) > 0 && Number(period) > 0 ? [Number(quota) / Number(period)] : [];
}

/** @param {string} file */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

module.exports = { availableCores, cpuQuota };
