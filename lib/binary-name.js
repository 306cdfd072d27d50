'use strict';

// The one place that knows what the native part's file is called. The build writes that file, the install
// step looks for it, and `lib/native.js` loads it.

const fs = require('node:fs');
const path = require('node:path');

/**
 * Which C library this Node was linked with: read from the name of the dynamic linker in the first page of
 * the executable. `process.report` knows it too, but takes 2 to 7 ms, which every worker would pay.
 *
 * @returns {'gnu' | 'musl'}
 */
function libc() {
  const head = Buffer.alloc(4096);
  try {
    const fd = fs.openSync(process.execPath, 'r');
    try {
      fs.readSync(fd, head, 0, head.length, 0);
    } finally {
      fs.closeSync(fd);
    }
    if (head.includes('/ld-musl-')) return 'musl';
    if (head.includes('/ld-linux')) return 'gnu';
  } catch {
    // An executable that cannot be read: ask the report.
  }
  return libcFromReport();
}

/** @returns {'gnu' | 'musl'} */
function libcFromReport() {
  const report = /** @type {NodeJS.ProcessReport & { excludeNetwork?: boolean }} */ (process.report);
  // Without this the report looks up the host name of every open socket, which can take seconds.
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (
    /** @type {unknown} */ (report.getReport())
  );
  report.excludeNetwork = before;
  return header.glibcVersionRuntime ? 'gnu' : 'musl';
}

/**
 * The file name of the native part for this process, such as `rcluster.linux-x64-gnu.node`.
 *
 * @returns {string}
 */
function binaryName() {
  const suffix = process.platform === 'linux' ? `-${libc()}` : '';
  return `rcluster.${process.platform}-${process.arch}${suffix}.node`;
}

/**
 * The absolute path of the native part for this process, whether the file exists or not.
 *
 * @returns {string}
 */
function binaryPath() {
  return path.join(__dirname, '..', 'native', binaryName());
}

module.exports = { binaryName, binaryPath, libcFromReport };
