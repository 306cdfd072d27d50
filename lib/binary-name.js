'use strict';

// The one place that knows what the native files are called: the native part, which is loaded into Node, and the manager's
// executable. The build writes them, the install step looks for them, and `lib/native.js` and `manager/` use them.

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
 * For whom a file is. Linux alone has several C libraries, and what was made for one does not load beside another.
 *
 * @typedef {{ platform: string, arch: string, libc?: 'gnu' | 'musl' }} Target
 */

/** @returns {Target} this process */
function thisProcess() {
  const { platform, arch } = process;
  return platform === 'linux' ? { platform, arch, libc: libc() } : { platform, arch };
}

/** @param {Target} target */
const suffix = (target) => `${target.platform}-${target.arch}${target.libc ? `-${target.libc}` : ''}`;
/** @param {string} name */
const inPackage = (name) => path.join(__dirname, '..', 'native', name);

/**
 * The file name of the native part, such as `rcluster.linux-x64-gnu.node`.
 *
 * @param {Target} [target] This process by default.
 */
const binaryName = (target = thisProcess()) => `rcluster.${suffix(target)}.node`;

/**
 * The absolute path of the native part, whether the file exists or not.
 *
 * @param {Target} [target]
 */
const binaryPath = (target) => inPackage(binaryName(target));

/**
 * The file name of the manager's executable, such as `rclusterd.linux-x64-gnu`.
 *
 * @param {Target} [target] This process by default.
 */
const managerName = (target = thisProcess()) => `rclusterd.${suffix(target)}`;

/**
 * The absolute path of the manager's executable, whether the file exists or not.
 *
 * @param {Target} [target]
 */
const managerPath = (target) => inPackage(managerName(target));

module.exports = { binaryName, binaryPath, libcFromReport, managerName, managerPath, thisProcess };
