'use strict';

// Runs `cargo build` and says what it is doing: cargo's own progress bar needs a terminal, and a minute of
// silence under npm looks like a hang.

const { spawn, spawnSync } = require('node:child_process');
const readline = require('node:readline');
const { root } = require('./sources.js');

const SAY_EVERY_MS = 5000;

/** @returns {boolean} true when cargo can be run */
function hasCargo() {
  return spawnSync('cargo', ['--version'], { cwd: root, stdio: 'ignore' }).status === 0;
}

/**
 * Builds the shared library in release mode.
 *
 * @param {(line: string) => void} say takes one line of progress
 * @returns {Promise<string>} the path of the library that cargo wrote
 * @throws {Error} when the build fails; the message ends with all that cargo printed
 */
async function cargoBuild(say) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  // cargo names the files it wrote as JSON, so the target folder may be anywhere.
  const args = ['build', '--release', '--locked', '--lib', '--message-format=json-render-diagnostics'];
  const cargo = spawn('cargo', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = stopWith(cargo);

  /** @type {string[]} */
  const printed = [];
  let library = '';
  let doing = 'starting';
  readline.createInterface({ input: cargo.stderr }).on('line', (line) => {
    printed.push(line);
    const step = /^\s*((?:Updating|Downloading|Downloaded|Compiling|Blocking|Finished)\b.*)/.exec(line);
    if (step) doing = step[1].replace(/ \(.*/, '').toLowerCase();
  });
  readline.createInterface({ input: cargo.stdout }).on('line', (line) => {
    library = libraryIn(line) ?? library;
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
  if (!library) throw new Error('cargo build named no shared library; is [lib] crate-type "cdylib" gone?');
  return library;
}

/**
 * @param {string} line one line of cargo's JSON
 * @returns {string | undefined} the path of our shared library, if the line is about it
 */
function libraryIn(line) {
  if (!line.startsWith('{')) return undefined;
  const message = JSON.parse(line);
  if (message.reason !== 'compiler-artifact' || message.target.name !== 'rcluster') return undefined;
  return message.filenames.find((/** @type {string} */ file) => /\.(so|dylib|dll)$/.test(file));
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

module.exports = { cargoBuild, hasCargo };
