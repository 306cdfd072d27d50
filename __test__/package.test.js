'use strict';

// The package as its users get it: packed, installed into an empty app, loaded, and built there without a binary.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { binaryName, managerName } = require('../lib/binary-name.js');
const { FILE, unpackSources } = require('../scripts/lib/packed_sources.js');
const { noteNotChecked } = require('../scripts/lib/not_checked.js');
const { ARCHES, toolchain, unfit } = require('../scripts/lib/targets.js');

const ROOT = path.join(__dirname, '..');
const PROGRAMS = path.join(__dirname, 'arm64', 'app');
const BUILD_LIMIT_MS = 10 * 60_000;
const MB = 1e6;
jest.setTimeout(BUILD_LIMIT_MS);

/** @type {string} */
let tmp;
/** @type {string} */
let tarball;
/** @type {string} the package with its binary, installed */
let app;
/** @type {{ PATH: string }} an environment without cargo */
let noCargo;

/** Runs a command; jest's own variables stay out of it. */
function run(command, args, { cwd = tmp, env = {} } = {}) {
  const { NODE_OPTIONS: _options, NODE_ENV: _mode, ...inherited } = process.env;
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...inherited, ...env },
    timeout: BUILD_LIMIT_MS,
  });
  return { status, stdout, stderr, output: `${stdout}${stderr}` };
}

/** Runs a command that has to succeed, and gives what it printed to standard output. */
function ok(command, args, options) {
  const { status, stdout, output } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${output}`);
  return stdout;
}

/** An empty app. */
function emptyApp(name) {
  const folder = path.join(tmp, name);
  fs.mkdirSync(folder);
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "name": "app", "private": true }\n');
  return folder;
}

function install(folder, file, env) {
  return run('npm', ['install', '--no-audit', '--no-fund', file], { cwd: folder, env });
}

/** The tarball once more, without its binary. */
function sourceTarball() {
  const folder = path.join(tmp, 'unpacked');
  fs.mkdirSync(folder);
  ok('tar', ['-xzf', tarball, '-C', folder]);
  fs.rmSync(path.join(folder, 'package', 'native'), { recursive: true });
  const file = path.join(tmp, 'rcluster-source.tgz');
  ok('tar', ['-czf', file, '-C', folder, 'package']);
  return file;
}

/** Makes a folder to be the whole PATH: it has what npm and the command need, and no cargo. */
function pathWithoutCargo() {
  const folder = path.join(tmp, 'bin');
  fs.mkdirSync(folder);
  const onPath = (tool) => process.env.PATH.split(path.delimiter).map((one) => path.join(one, tool)).find(fs.existsSync);
  for (const tool of ['sh', 'env', 'npm', 'readlink', 'uname']) fs.symlinkSync(onPath(tool), path.join(folder, tool));
  fs.symlinkSync(process.execPath, path.join(folder, 'node'));
  return folder;
}

beforeAll(() => {
  tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-package-'));
  // The others take minutes.
  ok('npm', ['pack', '--pack-destination', tmp], { cwd: ROOT, env: { RCLUSTER_PACK: process.arch } });
  tarball = path.join(tmp, fs.readdirSync(tmp).find((name) => name.endsWith('.tgz')));
  app = emptyApp('app');
  noCargo = { PATH: pathWithoutCargo() };
});

afterAll(() => fs.rmSync(tmp, { recursive: true, force: true }));

test('the tarball has what an install needs, and nothing else', () => {
  const files = ok('tar', ['-tzf', tarball]).trim().split('\n').map((file) => file.replace(/^package\//, ''));
  expect(files).toEqual(expect.arrayContaining([
    'package.json', 'index.js', 'index.mjs', 'index.d.ts', 'index.d.mts', 'LICENSE', 'README.md', 'CHANGELOG.md',
    'Cargo.toml', 'Cargo.lock', 'build.rs', FILE, 'lib/binary-name.js', 'scripts/install.js',
    'bundle/preload.js', 'bundle/preload_alone.js', 'bundle/worker.js', 'bundle/supervised.js', 'bundle/later.js', 'bundle/primary.js', 'bundle/primary_later.js', 'bundle/supervisor.js',
    'bundle/sources.json', 'bundle/command.js', 'bundle/command_later.js', 'bundle/command.json',
    `native/${binaryName()}`,
  ]));
  const allowed = /^(package\.json|index\.(js|mjs|d\.ts|d\.mts)|LICENSE|README\.md|CHANGELOG\.md|Cargo\.(toml|lock)|build\.rs|manager\/(\w+\.(js|d\.ts)|Cargo\.toml|build\.rs)|(lib|bundle|bin|manager\/cli|native|scripts)\/.*)$/;
  expect(files.filter((file) => !allowed.test(file))).toEqual([]);
  const packed = ARCHES.map((arch) => ({ platform: 'linux', arch, libc: 'gnu' }))
    .filter((target) => target.arch === process.arch || fs.existsSync(path.join(ROOT, 'native', binaryName(target))));
  const names = packed.flatMap((target) => [binaryName(target), managerName(target)]);
  expect(files.filter((file) => file.startsWith('native/')).sort()).toEqual(names.map((name) => `native/${name}`).sort());
});

test('its file of sources has what cargo compiles, as it is, and no tests', () => {
  const folder = path.join(tmp, 'sources');
  fs.mkdirSync(folder);
  ok('tar', ['-xzf', tarball, '-C', folder, `package/${FILE}`]);
  unpackSources(path.join(folder, 'package'));
  const below = (from) => fs.readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => path.relative(from, path.join(entry.parentPath, entry.name)));
  const unpacked = below(path.join(folder, 'package')).filter((file) => file !== FILE);
  const wanted = [...below(path.join(ROOT, 'src')).map((file) => `src/${file}`), ...['src', 'web'].flatMap((name) => below(path.join(ROOT, 'manager', name)).map((file) => `manager/${name}/${file}`))];
  expect(unpacked.sort()).toEqual(wanted.filter((file) => !/\/tests(\/|\.rs)/.test(file)).sort());
  const text = (from, file) => fs.readFileSync(path.join(from, file), 'utf8');
  const withoutTests = (file) => text(ROOT, file).split('\n#[cfg(test)]\nmod tests {\n')[0];
  expect(unpacked.filter((file) => text(path.join(folder, 'package'), file) !== withoutTests(file))).toEqual([]);
});

test('each of its native files is for the processor of its name, names no folder of this machine, and asks for no newer glibc than it has to', () => {
  const folder = path.join(tmp, 'native-files');
  fs.mkdirSync(folder);
  ok('tar', ['-xzf', tarball, '-C', folder, 'package/native']);
  if (!toolchain(process.arch).anyGlibc) noteNotChecked('packing: that a file asks for glibc 2.28 at most, as zig and cargo-zigbuild are missing (CONTRIBUTING.md, Packing)');
  const others = ARCHES.filter((arch) => arch !== process.arch && !fs.existsSync(path.join(ROOT, 'native', binaryName({ platform: 'linux', arch, libc: 'gnu' }))));
  for (const arch of others) noteNotChecked(`packing: the files for ${arch}, which are not built here (CONTRIBUTING.md, arm64)`);
  for (const name of fs.readdirSync(path.join(folder, 'package', 'native'))) {
    const [, arch] = /linux-(\w+)-gnu/.exec(name);
    expect([name, unfit(path.join(folder, 'package', 'native', name), arch, toolchain(arch))]).toEqual([name, undefined]);
  }
});

test('it is small, packed and installed', () => {
  expect(fs.statSync(tarball).size).toBeLessThan(6 * MB);
  const sizes = ok('tar', ['-tvzf', tarball]).trim().split('\n').map((line) => Number(line.split(/\s+/)[2]));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(15 * MB);
});

test('it installs into an empty app without building anything, with no dependencies but those of the command', () => {
  const { status, output } = install(app, tarball, noCargo);
  expect({ status, output }).toMatchObject({ status: 0 });
  const modules = fs.readdirSync(path.join(app, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(modules).toEqual(['commander', 'rcluster', 'yaml']);
  expect(fs.existsSync(path.join(app, 'node_modules', 'rcluster', 'target'))).toBe(false);
});

test.each(fs.readdirSync(PROGRAMS))('it passes what arm64 has to pass: %s', (name) => {
  fs.copyFileSync(path.join(PROGRAMS, name), path.join(app, name));
  ok(process.execPath, [name], { cwd: app, env: noCargo });
});

describe('without a binary in the package', () => {
  /** @type {string} */
  let source;
  beforeAll(() => {
    source = sourceTarball();
  });

  test('it is built with cargo while npm installs it', () => {
    const folder = emptyApp('built');
    // With the compiled crates of this checkout only our own is compiled again.
    const { status, output } = install(folder, source, { CARGO_TARGET_DIR: path.join(ROOT, 'target') });
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(fs.readdirSync(path.join(folder, 'node_modules', 'rcluster', 'native'))).toEqual([binaryName()]);
    const script = "console.log(require('rcluster').rcluster.native)";
    expect(ok(process.execPath, ['-e', script], { cwd: folder })).toBe('true\n');
  });

  test('and without cargo one sentence says what to install', () => {
    const folder = emptyApp('no-cargo');
    const throughNpm = install(folder, source, noCargo);
    expect(throughNpm.status).not.toBe(0);
    expect(throughNpm.output).toMatch(/cargo was not found: install Rust/);

    const script = path.join(tmp, 'unpacked', 'package', 'scripts', 'install.js');
    const { status, stdout, stderr } = run(process.execPath, [script], { env: noCargo });
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^rcluster: [^\n]*install Rust [^\n]*\.\n$/);
  });

  test('a system with an older glibc is told which one the binary of the package wants', () => {
    const folder = path.join(tmp, 'older-glibc');
    ok('cp', ['-r', path.join(tmp, 'unpacked', 'package'), folder]);
    const binary = path.join(folder, 'native', binaryName());
    fs.mkdirSync(path.dirname(binary));
    // To one that asks for glibc 9 every system is older.
    const bytes = fs.readFileSync(path.join(ROOT, 'native', binaryName()));
    const at = bytes.indexOf('\0GLIBC_2.');
    expect(at).toBeGreaterThan(0);
    bytes.write('9', at + '\0GLIBC_'.length);
    fs.writeFileSync(binary, bytes);
    const { status, stderr } = run(process.execPath, [path.join(folder, 'scripts', 'install.js')], { env: noCargo });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^rcluster: the binary of the package cannot be used here: [^\n]*version `GLIBC_9\.[\d.]+' not found[^\n]*\nrcluster: [^\n]*cargo was not found[^\n]*\n$/);
  });

  test('a Node that was made for musl does not take a binary for glibc, and is told what to do on Alpine', () => {
    // The first lines of the executable tell the C library.
    const musl = path.join(tmp, 'musl-node');
    fs.writeFileSync(musl, `#!/bin/sh\n# /lib/ld-musl-x86_64.so.1\nexec "${process.execPath}" "$@"\n`, { mode: 0o755 });
    const preload = path.join(tmp, 'as-musl.js');
    fs.writeFileSync(preload, `process.execPath = ${JSON.stringify(musl)};\n`);
    const script = path.join(tmp, 'unpacked', 'package', 'scripts', 'install.js');
    const { status, stderr } = run(process.execPath, ['--require', preload, script], { env: noCargo });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^rcluster: [^\n]*no binary for a Node that was built with musl[^\n]*apk add cargo[^\n]*\.\n$/);
    const loads = "const { rcluster } = require('rcluster'); console.log(rcluster.native, rcluster.reason)";
    expect(ok(process.execPath, ['--require', preload, '-e', loads], { cwd: app })).toMatch(/^false [^\n]*linux-\w+-musl\.node[^\n]*run: node "[^\n]*\/rcluster\/scripts\/install\.js"\n$/);
  });
});
