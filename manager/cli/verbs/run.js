'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

const { executable } = require('../../home.js');
const { START_FLAGS } = require('../flags.js');
const { copy } = require('../log_stream.js');
const { fail } = require('../say.js');
const { appsFrom } = require('../start_apps.js');

/** How often (ms) it is looked whether a daemon answers that was just started, and for how long. */
const LOOK = 10;
const START = 10_000;
/** What becomes of a request when the daemon is killed, or not there yet. */
const GONE = Object.freeze(['ERR_RCLUSTER_NO_DAEMON', 'ECONNRESET', 'EPIPE']);

/** @typedef {import('../../client.js').Manager} Manager */
/** @typedef {import('../../client').ProcessStatus} ProcessStatus */

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Runs the apps of a configuration file in the foreground, as the first process of a container does: what they write goes to standard output, SIGTERM stops them, the exit code is theirs.',
  usage: '[config file | script] ...',
  flags: START_FLAGS,
  needsDaemon: false,
  takesTime: true,
  async run(manager, words, options, rest) {
    const apps = await appsFrom('run', words, options, rest);
    if (await manager.isRunning()) throw new Error(`a daemon for "${manager.home}" runs already: give this one a home of its own by RCLUSTER_HOME`);
    if (!fs.existsSync(executable())) await require('../../../scripts/build-manager.js').buildManager();
    reap();
    const daemon = await startDaemon(manager);
    let asked = false;
    const stop = () => {
      asked = true;
      manager.stop('all').catch(() => {});
    };
    for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) process.on(signal, stop);
    process.on('SIGHUP', () => void manager.reload('all').catch(() => {}));
    const ended = new AbortController();
    try {
      const events = manager.events();
      await events.next();
      const since = Date.now();
      await manager.start(apps, { prune: true });
      const { ended: shown } = await copy(manager, 'all', { since, follow: true, signal: ended.signal });
      if (asked) stop();
      process.exitCode = await outcome(manager, events, () => asked, stop);
      ended.abort();
      await shown;
    } finally {
      ended.abort();
      daemon.expected = true;
      await manager.kill().catch(() => {});
      process.removeAllListeners('SIGHUP');
    }
  },
};

/**
 * A daemon that is our child. One that is killed is followed by another: programs do not notice.
 *
 * @param {Manager} manager
 */
async function startDaemon(manager) {
  const state = { expected: false, pid: 0 };
  const start = () => {
    const child = spawn(executable(), ['daemon', '--home', manager.home, '--foreground'], { stdio: ['ignore', 'inherit', 'inherit'] });
    state.pid = child.pid ?? 0;
    child.on('exit', (code, signal) => {
      if (state.expected) return;
      // It has said why.
      if (code !== 0 && signal === null) process.exit(1);
      start();
    });
  };
  start();
  for (const deadline = Date.now() + START; !(await manager.isRunning()); await sleep(LOOK)) {
    if (Date.now() > deadline) throw new Error('the daemon does not answer');
  }
  return state;
}

/** The first process of a container inherits what others have left behind. */
function reap() {
  if (process.pid === 1) require('../../../lib/supervisor/service_manager.js').reapOrphans(() => []);
}

/**
 * Waits until nothing runs any more, and nothing will.
 *
 * @param {Manager} manager
 * @param {AsyncGenerator<import('../../client').ManagerEvent, void, void>} events
 * @param {() => boolean} wasAsked
 * @param {() => void} stop What was asked for again: the daemon that heard of it may have died.
 * @returns {Promise<number>} The exit code.
 */
async function outcome(manager, events, wasAsked, stop) {
  for (;;) {
    const apps = await manager.list().catch(ifGone);
    if (!apps) {
      await sleep(LOOK);
      continue;
    }
    const all = apps.flatMap(({ processes }) => processes);
    if (all.every(({ state }) => state === 'stopped' || state === 'errored')) {
      for (const { name, processes } of apps) for (const { state, lastError } of processes) if (state === 'errored') fail(`${name}: ${lastError}`);
      return all.map((one) => exitCode(one, wasAsked())).find((code) => code !== 0) ?? 0;
    }
    const next = await events.next().catch(ifGone);
    if (!next || next.done) {
      // Another daemon is there, or about to be.
      await sleep(LOOK);
      events = manager.events();
      if (wasAsked()) stop();
    }
  }
}

/**
 * One that was killed is followed by another one.
 *
 * @param {NodeJS.ErrnoException} error
 * @returns {undefined}
 */
function ifGone(error) {
  if (!GONE.includes(String(error.code))) throw error;
  return undefined;
}

/**
 * As a shell has it. Whoever was asked to end and did is no failure, even if a signal was needed.
 *
 * @param {ProcessStatus} process
 * @param {boolean} wasAsked
 */
function exitCode({ state, exitCode: code, signal }, wasAsked) {
  if (code !== null) return code;
  if (wasAsked) return 0;
  if (signal !== null) return 128 + (os.constants.signals[/** @type {NodeJS.Signals} */ (signal)] ?? 0);
  return state === 'errored' ? 1 : 0;
}
