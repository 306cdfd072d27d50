'use strict';

const { processes } = require('../../manager/cli/table');

test('a listing leaves columns out where a terminal is narrow, and keeps them below each other', () => {
  const { columns } = process.stdout;
  const one = { id: 1, pid: 12345, startedAt: null, restarts: 0, state: 'online', cpu: 1, memory: 1e8 };
  const apps = ['web', '日本語のアプリ', 'a-very-long-name-of-an-app'].map((name) => ({ name, namespace: 'default', mode: 'program', processes: [one], workers: [] }));
  const listed = (/** @type {number} */ width) => {
    process.stdout.columns = width;
    try {
      return processes(/** @type {any} */ (apps)).split('\n');
    } finally {
      process.stdout.columns = columns;
    }
  };
  expect(listed(40)).toEqual([
    'id  name        pid    uptime  ↺  status',
    '1   web         12345  0       0  online',
    '1   日本語の…   12345  0       0  online',
    '1   a-very-lo…  12345  0       0  online',
  ]);
  // What a terminal says that does not know how wide it is.
  expect(listed(0)[3]).toMatch(/^1 {3}a-very-long-name-of-an-app {2}default {2}/);
});
