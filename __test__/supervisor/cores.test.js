'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { availableCores, cpuQuota } = require('../../lib/supervisor/cores');
const { parse } = require('../../lib/supervisor/options');
const { temporaryFolder } = require('../helpers/service');

/** File systems of a kernel with these files. @param {Record<string, string>} files */
function kernel(files) {
  const root = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.join(root, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), text);
  }
  return root;
}

const V2 = '0::/system.slice/app.service\n';
const V1 = '4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/\n';

test.each([
  ['nothing is known', {}, Infinity],
  ['no quota', { 'proc/self/cgroup': V2, 'sys/fs/cgroup/system.slice/app.service/cpu.max': 'max 100000\n' }, Infinity],
  ['a quota', { 'proc/self/cgroup': V2, 'sys/fs/cgroup/system.slice/app.service/cpu.max': '250000 100000\n' }, 2.5],
  ['a smaller one above it', {
    'proc/self/cgroup': V2,
    'sys/fs/cgroup/system.slice/app.service/cpu.max': '400000 100000\n',
    'sys/fs/cgroup/system.slice/cpu.max': '150000 100000\n',
  }, 1.5],
  ['in a container that sees itself as the root', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' }, 0.5],
  ['version 1, whose folder the container does not see', {
    'proc/self/cgroup': V1, 'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '300000\n', 'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  }, 3],
  ['version 1, mounted under both names', {
    'proc/self/cgroup': V1, 'sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us': '100000\n', 'sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us': '100000\n',
  }, 1],
  ['version 1 without a quota', { 'proc/self/cgroup': V1, 'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', 'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' }, Infinity],
  ['nonsense', { 'proc/self/cgroup': '0::/\nx\n0:cpu\n', 'sys/fs/cgroup/cpu.max': '5 0\n' }, Infinity],
])('%s', (_, files, quota) => {
  expect(cpuQuota(kernel(files))).toBe(quota);
});

test('the quota counts, and of a part of a core there is one', () => {
  const cores = jest.spyOn(os, 'availableParallelism').mockReturnValue(8);
  const withQuota = (/** @type {string} */ max) => availableCores(kernel({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': max }));
  expect(['300000 100000\n', '399999 100000\n', '50000 100000\n', '900000 100000\n', 'max 100000\n'].map(withQuota)).toEqual([3, 3, 1, 8, 8]);
  cores.mockRestore();
});

test('there is at least one core, no more than the scheduler has, and max is that', () => {
  const most = Math.max(1, Math.min(os.availableParallelism(), Math.floor(cpuQuota())));
  expect(availableCores()).toBe(most);
  expect(parse({ workers: 'max' }).workers).toBe(most);
});
