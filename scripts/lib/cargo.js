'use strict';

// Runs `cargo build` and says what it is doing: cargo's own progress bar needs a terminal, and a minute of
// silence under npm looks like a hang.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { thisProcess } = require('../../lib/binary-name.js');
const { root } = require('./sources.js');

const SAY_EVERY_MS = 5000;

/** @returns {boolean} true when cargo can be run */
function hasCargo() {
  return spawnSync('cargo', ['--version'], { cwd: root, stdio: 'ignore' }).status === 0;
}

/**
 * What is to be built: arguments of cargo, the crate's name, and what the file's name looks like.
 *
 * @typedef {{ args: string[], name: string, file: RegExp }} Wanted
 */

/**
 * How it is built: what stands for `cargo build`, and its environment.
 *
 * @typedef {{ command: string[], env: NodeJS.ProcessEnv }} How
 */

/** @returns {string} the folder of cargo's own files */
const cargoHome = () => process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');

/**
 * What rustc is told besides: nobody's folders get into what is built. All builds are told the same: what one has built, another need not.
 *
 * @returns {string} as cargo wants it in `CARGO_ENCODED_RUSTFLAGS`
 */
function flags() {
  // The folders of the crates' sources have to be there, to be named.
  spawnSync('cargo', ['fetch', '--locked'], { cwd: root, stdio: 'ignore' });
  const sources = path.join(cargoHome(), 'registry', 'src');
  const crates = fs.existsSync(sources) ? fs.readdirSync(sources).sort().map((name) => path.join(sources, name)) : [];
  const remap = /** @type {[string, string][]} */ ([[cargoHome(), 'cargo'], ...crates.map((folder) => [folder, 'crates'])]);
  const given = process.env.CARGO_ENCODED_RUSTFLAGS?.split('\x1f') ?? process.env.RUSTFLAGS?.split(' ') ?? [];
  // What is linked statically with musl, as Rust does it by default, cannot be loaded into anything.
  const dynamic = thisProcess().libc === 'musl' ? ['-Ctarget-feature=-crt-static'] : [];
  return [...given.filter(Boolean), ...dynamic, ...remap.map(([from, to]) => `--remap-path-prefix=${from}=${to}`)].join('\x1f');
}

/** @returns {How} */
function forThisMachine() {
  return { command: ['cargo', 'build'], env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: flags() } };
}

/** The native part: a shared library. @type {Wanted} */
const LIBRARY = { args: ['--lib'], name: 'rcluster', file: /\.(so|dylib|dll)$/ };

/**
 * Builds in release mode.
 *
 * @param {(line: string) => void} say takes one line of progress
 * @param {Wanted} [wanted]
 * @param {How} [how]
 * @returns {Promise<string>} the path of the file that cargo wrote
 * @throws {Error} when the build fails; the message ends with all that cargo printed
 */
async function cargoBuild(say, wanted = LIBRARY, how = forThisMachine()) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  // cargo names the files it wrote as JSON, so the target folder may be anywhere.
  const [command, ...args] = [...how.command, '--release', '--locked', ...wanted.args, '--message-format=json-render-diagnostics'];
  const cargo = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: how.env });
  const stop = stopWith(cargo);

  /** @type {string[]} */
  const printed = [];
  let built = '';
  let doing = 'starting';
  readline.createInterface({ input: cargo.stderr }).on('line', (line) => {
    printed.push(line);
    const step = /^\s*((?:Updating|Downloading|Downloaded|Compiling|Blocking|Finished)\b.*)/.exec(line);
    if (step) doing = step[1].replace(/ \(.*/, '').toLowerCase();
  });
  readline.createInterface({ input: cargo.stdout }).on('line', (line) => {
    built = builtBy(line, wanted) ?? built;
  });
  const timer = setInterval(() => say(`${seconds()} s: ${doing}`), SAY_EVERY_MS);

  try {
    const code = await new Promise((resolve, reject) => {
      cargo.once('error', reject);
      cargo.once('close', resolve);
    });
    if (code !== 0) throw new Error(`cargo build failed:\n${printed.join('\n')}`);
  } finally {
    clearInterval(timer);
    stop.forget();
  }
  if (!built) throw new Error(`cargo build named no file of ${wanted.name}`);
  return built;
}

/**
 * @param {string} line one line of cargo's JSON
 * @param {Wanted} wanted
 * @returns {string | undefined} the path of what was wanted, if the line is about it
 */
function builtBy(line, { name, file }) {
  if (!line.startsWith('{')) return undefined;
  const message = JSON.parse(line);
  if (message.reason !== 'compiler-artifact' || message.target.name !== name) return undefined;
  return message.filenames.find((/** @type {string} */ one) => file.test(one));
}

/**
 * Ends cargo with this process when a signal comes that the terminal did not send to cargo as well.
 *
 * @param {import('node:child_process').ChildProcess} cargo
 * @returns {{ forget(): void }}
 */
function stopWith(cargo) {
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  /** @param {NodeJS.Signals} signal */
  const onSignal = (signal) => {
    cargo.kill(signal);
    forget();
    process.kill(process.pid, signal);
  };
  const forget = () => signals.forEach((signal) => process.off(signal, onSignal));
  signals.forEach((signal) => process.on(signal, onSignal));
  return { forget };
}

module.exports = { cargoBuild, cargoHome, flags, hasCargo };
