'use strict';

// For whom binaries are packed, and what this machine can build them with. Nothing of it is needed to install or to start rcluster.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { binaryPath, managerPath } = require('../../lib/binary-name.js');
const { cargoHome, flags } = require('./cargo.js');
const { compareVersions, glibcOf, needs } = require('./elf.js');
const { root, rustVersion } = require('./sources.js');

/** What Rust calls them. */
const TRIPLES = /** @type {Record<string, string>} */ ({ x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' });
const ARCHES = Object.keys(TRIPLES);

/** The glibc that is enough: the one that Node 20 asks for itself. */
const GLIBC = '2.28';

/** Kernels for arm64 have pages of 4, 16 or 64 KiB. */
const LARGEST_PAGE = 64 << 10;

/** Where the tools for packing may be, besides the PATH, and how they get there. */
const TOOLS = path.join(root, '.cache', 'packing', 'bin');
const HOW = 'python3 -m venv .cache/packing && .cache/packing/bin/pip install ziglang cargo-zigbuild';

/**
 * How to build for a target here.
 *
 * @typedef {object} Toolchain
 * @property {string[]} command What stands for `cargo build`.
 * @property {NodeJS.ProcessEnv} env
 * @property {boolean} anyGlibc Whether what it builds asks for no newer glibc than it has to.
 */

/** @param {string} arch */
const fileNames = (arch) => {
  const target = /** @type {const} */ ({ platform: 'linux', arch, libc: 'gnu' });
  return { library: binaryPath(target), manager: managerPath(target) };
};

/**
 * @param {string} arch
 * @returns {string} the same
 * @throws {Error} for one that nothing is packed for
 */
function knownArch(arch) {
  if (!ARCHES.includes(arch)) throw new Error(`--target has to be one of ${ARCHES.join(', ')}, and is "${arch}".`);
  return arch;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @returns {string | undefined} what it printed, if it can be run
 */
function output(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * @param {string} triple
 * @returns {string | undefined} a compiler that has the standard library for it
 */
function compiler(triple) {
  const { RUSTC } = process.env;
  // A distribution's own may have what the one of rustup has not.
  return (RUSTC ? [RUSTC] : ['rustc', '/usr/bin/rustc']).find((rustc) => {
    const version = /^rustc (\d+\.\d+)/.exec(output(rustc, '--version') ?? '')?.[1];
    const folder = output(rustc, '--print', 'target-libdir', '--target', triple);
    if (!version || !folder || compareVersions(version, rustVersion()) < 0) return false;
    return fs.existsSync(folder) && fs.readdirSync(folder).some((file) => file.startsWith('libstd-'));
  });
}

/** @param {string} tools a folder where it may be besides the PATH */
function hasZig(tools) {
  const runs = (/** @type {string} */ name, /** @type {string[]} */ ...args) =>
    [path.join(tools, name), name].some((command) => output(command, ...args) !== undefined);
  return runs('cargo-zigbuild', '--version') && (runs('python3', '-m', 'ziglang', 'version') || runs('zig', 'version'));
}

/** @param {string} triple */
const linkerVariable = (triple) => `CARGO_TARGET_${triple.toUpperCase().replaceAll('-', '_')}_LINKER`;

/**
 * What to build for a target with.
 *
 * @param {string} arch
 * @param {{ tools?: string }} [options] `tools`: where they may be besides the PATH
 * @returns {Toolchain}
 * @throws {Error} when something is missing: one sentence that says what
 */
function toolchain(arch, { tools = TOOLS } = {}) {
  const triple = TRIPLES[knownArch(arch)];
  if (process.platform !== 'linux') throw new Error(`the native part for ${arch} is built on Linux, and this is ${process.platform}.`);
  if (output('cargo', '--version') === undefined) throw new Error(`cargo was not found: install Rust ${rustVersion()} or newer.`);
  const rustc = compiler(triple);
  if (!rustc) {
    throw new Error(`no Rust ${rustVersion()} or newer with the standard library for ${arch} was found: run "rustup target add ${triple}", or set RUSTC to one that has it.`);
  }
  const env = { ...process.env, PATH: `${tools}${path.delimiter}${process.env.PATH}`, RUSTC: rustc, CARGO_ENCODED_RUSTFLAGS: flags() };
  if (hasZig(tools)) return { command: ['cargo', 'zigbuild', '--target', `${triple}.${GLIBC}`], env, anyGlibc: true };
  // As everything else is built here: nothing is built twice.
  if (arch === process.arch) return { command: ['cargo', 'build'], env, anyGlibc: false };
  const command = ['cargo', 'build', '--target', triple];
  // Debian's cross compilers.
  const linker = `${triple.replace('-unknown', '')}-gcc`;
  if (output(linker, '--version') !== undefined) return { command, env: { ...env, [linkerVariable(triple)]: linker }, anyGlibc: false };
  throw new Error(`no linker for ${arch} was found: install zig with cargo-zigbuild (${HOW}), or ${linker}.`);
}

/**
 * Why a file is not as it is to be packed; `undefined` when it is.
 *
 * @param {string} file
 * @param {string} arch
 * @param {{ anyGlibc: boolean }} options
 * @returns {string | undefined}
 */
function unfit(file, arch, { anyGlibc }) {
  const bytes = fs.readFileSync(file);
  const needed = needs(bytes);
  if (needed.arch !== arch) return `it is for ${needed.arch}`;
  if (arch === 'arm64' && needed.alignment < LARGEST_PAGE) return `a kernel with pages of ${LARGEST_PAGE >> 10} KiB cannot load it`;
  if (anyGlibc && compareVersions(glibcOf(needed), GLIBC) > 0) return `it asks for glibc ${glibcOf(needed)}`;
  if (!needed.stripped) return 'it carries names for a debugger (Cargo.toml: strip)';
  const folder = [cargoHome(), `${root}${path.sep}`].find((one) => bytes.includes(one));
  return folder && `it names ${folder}`;
}

module.exports = { ARCHES, GLIBC, fileNames, knownArch, toolchain, unfit };
