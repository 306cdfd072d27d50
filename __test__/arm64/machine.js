'use strict';

// Whether this machine runs programs for arm64: because it is one, or by emulation (qemu). The kernel has to be told of qemu
// (binfmt_misc), as programs start others. Where nobody has, a process tells it in a user namespace of its own, which changes nothing
// for anybody else (Linux 6.7 or newer).

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const LOADER = '/lib/ld-linux-aarch64.so.1';
const EMULATORS = ['qemu-aarch64-static', 'qemu-aarch64'];
/** The first bytes of such a program, and which of them have to be as they are (as qemu's own scripts have it). */
const MAGIC = '\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00';
const MASK = '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff';
const REGISTRY = '/proc/sys/fs/binfmt_misc';
const TELL = `mount -t binfmt_misc binfmt_misc ${REGISTRY} && printf '%s' "$RULE" > ${REGISTRY}/register && exec "$@"`;

/** @returns {string | undefined} */
function emulator() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return EMULATORS.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => fs.existsSync(file));
}

/**
 * What stands before a command so that programs for arm64 run in it, and its environment.
 *
 * @param {string} node a Node for arm64
 * @returns {{ prefix: string[], env: NodeJS.ProcessEnv, how: string }}
 * @throws {Error} that says what is missing
 */
function arm64(node) {
  const runs = (/** @type {string[]} */ prefix, env = process.env) => {
    const [command, ...args] = [...prefix, node, '-p', 'process.arch'];
    return spawnSync(command, args, { encoding: 'utf8', env }).stdout === 'arm64\n';
  };
  if (process.arch === 'arm64') return { prefix: [], env: process.env, how: 'on this machine, which is one' };
  const qemu = emulator();
  const missing = [
    ...(qemu ? [] : ['an emulator for programs (Debian: apt-get install qemu-user-static)']),
    ...(fs.existsSync(LOADER) ? [] : [`the C library for arm64, ${LOADER} (Debian: dpkg --add-architecture arm64, then apt-get install libc6:arm64 libstdc++6:arm64)`]),
  ];
  if (!qemu || missing.length > 0) throw new Error(`programs for arm64 do not run here; what is missing: ${missing.join('; ')}.`);
  if (runs([])) return { prefix: [], env: process.env, how: 'emulated, as the kernel has been told' };
  const prefix = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', TELL, 'sh'];
  const env = { ...process.env, RULE: `:rcluster-arm64:M::${MAGIC}:${MASK}:${qemu}:PF` };
  if (runs(prefix, env)) return { prefix, env, how: `emulated by ${path.basename(qemu)}, in a namespace of its own` };
  throw new Error('programs for arm64 do not run here: the kernel has not been told of qemu (Debian: apt-get install binfmt-support), and no process may tell it for itself (util-linux\'s unshare, Linux 6.7 or newer, user namespaces).');
}

module.exports = { arm64 };
