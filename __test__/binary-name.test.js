'use strict';

const path = require('node:path');
const { binaryName, binaryPath, libcFromReport } = require('../lib/binary-name.js');

test('the name tells platform, processor and, on Linux, the C library', () => {
  const { platform, arch } = process;
  const libc = platform === 'linux' ? '-(gnu|musl)' : '';
  expect(binaryName()).toMatch(new RegExp(`^rcluster\\.${platform}-${arch}${libc}\\.node$`));
});

test('the executable and the process report agree on the C library', () => {
  if (process.platform !== 'linux') return;
  expect(binaryName()).toContain(`-${libcFromReport()}.node`);
});

test('the file is in the folder native of the package', () => {
  expect(binaryPath()).toBe(path.join(__dirname, '..', 'native', binaryName()));
});
