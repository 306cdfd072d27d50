'use strict';

// What binaries are packed for, what they may ask for, and what is said when something to build them with is missing.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { compareVersions, glibcOf, needs } = require('../scripts/lib/elf.js');
const { unfit } = require('../scripts/lib/targets.js');

const ROOT = path.join(__dirname, '..');

/** @type {string} */
let folder;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-packing-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A native file, as short as it may be: one segment, and versions of symbols; `first` is the type of the section that is usually none. */
function nativeFile({ processor = 183, page = 0x10000, versions = ['GLIBC_2.17', 'GLIBC_2.28'], text = '', first = 0 }) {
  const names = `\0${versions.join('\0')}\0`;
  const at = { segments: 64, sections: 120, needed: 312, names: 328 + 16 * versions.length };
  const bytes = Buffer.alloc(at.names + names.length);
  bytes.write('\x7fELF\x02\x01', 'latin1');
  bytes.writeUInt16LE(processor, 18);
  bytes.writeBigUInt64LE(BigInt(at.segments), 32);
  bytes.writeBigUInt64LE(BigInt(at.sections), 40);
  for (const [value, offset] of [[56, 54], [1, 56], [64, 58], [3, 60]]) bytes.writeUInt16LE(value, offset);
  bytes.writeUInt32LE(1, at.segments);
  bytes.writeBigUInt64LE(BigInt(page), at.segments + 48);
  const section = (index, { type, offset, link = 0, info = 0 }) => {
    const start = at.sections + index * 64;
    bytes.writeUInt32LE(type, start + 4);
    bytes.writeBigUInt64LE(BigInt(offset), start + 24);
    bytes.writeUInt32LE(link, start + 40);
    bytes.writeUInt32LE(info, start + 44);
  };
  section(0, { type: first, offset: 0 });
  section(1, { type: 0x6ffffffe, offset: at.needed, link: 2, info: 1 });
  section(2, { type: 3, offset: at.names });
  bytes.writeUInt16LE(versions.length, at.needed + 2);
  bytes.writeUInt32LE(16, at.needed + 8);
  versions.forEach((version, index) => {
    const start = at.needed + 16 + 16 * index;
    bytes.writeUInt32LE(names.indexOf(`\0${version}\0`) + 1, start + 8);
    bytes.writeUInt32LE(index + 1 < versions.length ? 16 : 0, start + 12);
  });
  bytes.write(names, at.names, 'latin1');
  return Buffer.concat([bytes, Buffer.from(text)]);
}

test('versions are compared by their numbers', () => {
  expect(['2.28', '2.4', '2.3.4', '2.34', '2.28'].sort(compareVersions)).toEqual(['2.3.4', '2.4', '2.28', '2.28', '2.34']);
});

test('what a native file needs is read from it', () => {
  const needed = needs(nativeFile({ versions: ['GCC_3.0', 'GLIBC_2.4', 'GLIBC_2.17', 'GLIBC_PRIVATE'] }));
  expect(needed).toEqual({ arch: 'arm64', alignment: 0x10000, versions: ['GCC_3.0', 'GLIBC_2.4', 'GLIBC_2.17', 'GLIBC_PRIVATE'], stripped: true });
  expect(glibcOf(needed)).toBe('2.17');
  // This Node is a native file as well.
  expect(needs(process.execPath)).toMatchObject({ arch: process.arch, versions: expect.arrayContaining([expect.stringMatching(/^GLIBC_/)]) });
});

test.each([['nothing', ''], ['a script', `#!/bin/sh\n${'#'.repeat(100)}`]])('%s is no native file', (_what, text) => {
  expect(() => needs(Buffer.from(text))).toThrow('is no native file');
});

test.each([
  ['is for another processor', {}, 'x64', 'it is for arm64'],
  ['asks for a newer glibc', { versions: ['GLIBC_2.34'] }, 'arm64', 'it asks for glibc 2.34'],
  ['is for small pages alone', { page: 0x1000 }, 'arm64', 'a kernel with pages of 64 KiB cannot load it'],
  ['carries the names of its functions', { first: 2 }, 'arm64', 'it carries names for a debugger (Cargo.toml: strip)'],
  ['names a folder of this machine', { text: `${ROOT}/src/lib.rs` }, 'arm64', `it names ${ROOT}/`],
  ['is as it should be', {}, 'arm64', undefined],
  ['is for x64, where pages are small', { processor: 62, page: 0x1000 }, 'x64', undefined],
])('a file that %s', (_what, options, arch, why) => {
  const file = path.join(folder, 'file');
  fs.writeFileSync(file, nativeFile(options));
  expect(unfit(file, arch, { anyGlibc: true })).toBe(why);
});

describe('one error says', () => {
  /** Whether there are tools in the checkout is not to matter. */
  const script = `
    const targets = require(${JSON.stringify(path.join(ROOT, 'scripts', 'lib', 'targets.js'))});
    try { console.log(targets.toolchain(process.argv[1], { tools: '/nowhere' }).command.join(' ')); } catch (error) { console.log(error.message); }`;
  const other = process.arch === 'arm64' ? 'x64' : 'arm64';
  const libraries = () => fs.writeFileSync(path.join(folder, 'libstd-1.rlib'), '');
  const rustc = (version = '1.99.0') => `case "$1" in --version) echo "rustc ${version}";; *) echo ${folder};; esac`;

  /** What is said where there are these programs alone. */
  function said(arch, programs) {
    for (const [name, text] of Object.entries(programs)) fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const env = { PATH: folder, RUSTC: path.join(folder, 'rustc'), HOME: folder };
    return spawnSync(process.execPath, ['-e', script, arch], { encoding: 'utf8', env }).stdout.trim();
  }

  test('which targets there are', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'scripts', 'build.js'), '--target', 'mips'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: '', stderr: 'rcluster: --target has to be one of x64, arm64, and is "mips".\n' });
  });

  test.each(['darwin', 'win32'])('that the process manager is not for %s, rather than to build it there', (platform) => {
    const preload = path.join(folder, 'elsewhere.js');
    fs.writeFileSync(preload, `Object.defineProperty(process, 'platform', { value: '${platform}' });\n`);
    const args = ['--require', preload, path.join(ROOT, 'bin', 'rcluster.js'), 'start', 'app.js'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: folder, HOME: folder } });
    expect({ status, stderr }).toEqual({ status: 1, stderr: `rcluster: the process manager runs on Linux, and this is ${platform}.\n` });
  });

  test('that cargo is missing', () => {
    expect(said(other, {})).toMatch(/^cargo was not found: install Rust \d+\.\d+ or newer\.$/);
  });

  test.each([['has no standard library for it', '1.99.0', false], ['is too old', '1.50.0', true]])('that Rust %s', (_what, version, has) => {
    if (has) libraries();
    expect(said(other, { cargo: 'echo 1', rustc: rustc(version) })).toMatch(
      new RegExp(`^no Rust \\d.* with the standard library for ${other} was found: run "rustup target add .*-linux-gnu", or set RUSTC`),
    );
  });

  test('that a linker is missing', () => {
    libraries();
    expect(said(other, { cargo: 'echo 1', rustc: rustc() })).toMatch(
      new RegExp(`^no linker for ${other} was found: install zig with cargo-zigbuild \\(.*\\), or \\w+-linux-gnu-gcc\\.$`),
    );
  });

  test('nothing where all is there: zig makes files for an older glibc, and for itself this machine builds as it always does', () => {
    libraries();
    const programs = { cargo: 'echo 1', rustc: rustc() };
    expect(said(process.arch, programs)).toBe('cargo build');
    expect(said(other, { ...programs, zig: 'echo 1', 'cargo-zigbuild': 'echo 1' })).toMatch(/^cargo zigbuild --target \w+-unknown-linux-gnu\.2\.28$/);
  });
});
