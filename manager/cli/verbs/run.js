'use strict';

const fs = require('node:fs');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

const { executable, homeToRun, isMadeToRun } = require('../../home.js');
const { lookOf, withoutFiles } = require('../console.js');
const { RUN_FLAGS } = require('../flags.js');
const { startDaemon } = require('../foreground_daemon.js');
const { listen } = require('../foreground_signals.js');
const { fail } = require('../say.js');
const { appsFrom } = require('../start_apps.js');

/** How often (ms) it is looked whether another daemon is there. */
const LOOK = 10;
/** What becomes of a request when the daemon is killed, or not there yet. */
const GONE = Object.freeze(['ERR_RCLUSTER_NO_DAEMON', 'ECONNRESET', 'EPIPE']);
const AGAIN = Symbol('look again');
/** Signals with which programs are told to end, and the exit codes of those that do, as a shell has them. */
const TOLD = Object.freeze(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM']);
const TOLD_CODES = Object.freeze([129, 130, 131, 143]);

/** @typedef {import('../foreground_signals.js').Asked} Asked */
/** @typedef {import('../../client.js').Manager} Manager */
/** @typedef {import('../../client').ProcessStatus} ProcessStatus */

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Runs the apps of a configuration file in the foreground, as the first process of a container does: what they write goes to standard output, SIGTERM stops them, the exit code is theirs.',
  usage: '[config file | script] ...',
  flags: RUN_FLAGS,
  needsDaemon: false,
  takesTime: true,
  async run(_, words, options, rest) {
    // Whoever reads what we say may go away, and is no reason to end.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
    const asked = listen();
    reap();
    let code = 1;
    try {
      const apps = withoutFiles(await appsFrom('run', words, options, rest));
      code = asked.toStop ? 0 : await runAll(apps, lookOf(apps, options), asked);
    } catch (error) {
      const { message, usage } = /** @type {any} */ (error);
      fail(message);
      if (usage) code = 2;
    }
    // At once: what is open keeps nobody waiting.
    process.exit(code);
  },
};

/**
 * @param {any[]} apps
 * @param {string} look
 * @param {Asked} asked
 * @returns {Promise<number>} The exit code.
 */
async function runAll(apps, look, asked) {
  const { Manager } = require('../../client.js');
  const manager = new Manager({ home: homeToRun(), autostart: false });
  if (await manager.isRunning()) throw new Error(`a daemon for "${manager.home}" runs already: give this one a home of its own by RCLUSTER_HOME`);
  if (!fs.existsSync(executable())) await require('../../../scripts/build-manager.js').buildManager();
  const daemon = await startDaemon(manager, look);
  const looks = { again() {} };
  asked.on({
    // What waits for its time changes nothing when it is stopped, and no event tells of it.
    stop: () => void manager.stop('all').then(() => looks.again(), () => {}),
    kill: () => void killAll(manager).catch(() => {}),
    reload: () => void manager.reload('all').catch((error) => fail(`the reload failed: ${error.message}`)),
    status: () => void tellStatus(manager).catch(() => {}),
  });
  try {
    const events = manager.events();
    await events.next();
    // Some may have failed by then, and others not: what becomes of all is looked at below.
    await manager.start(apps, { prune: true });
    asked.again();
    const code = await outcome(manager, events, asked, looks);
    return asked.killedBy === undefined ? code : ofSignal(asked.killedBy);
  } finally {
    daemon.expected = true;
    await manager.kill().then(() => forget(manager.home), () => {});
  }
}

/** What was made for this run alone goes with it. @param {string} folder */
function forget(folder) {
  if (isMadeToRun(folder)) fs.rmSync(folder, { recursive: true, force: true });
}

/** The first process of a container inherits what others have left behind. */
function reap() {
  if (process.pid === 1) require('../../../lib/supervisor/service_manager.js').reapOrphans(() => []);
}

/** Ends all processes at once. @param {Manager} manager */
async function killAll(manager) {
  for (const { processes, workers } of await manager.list()) {
    for (const { pid } of [...processes, ...workers]) {
      try {
        if (pid) process.kill(pid, 'SIGKILL');
      } catch {
        // It has gone.
      }
    }
  }
}

/** As SIGUSR2 has it. @param {Manager} manager */
async function tellStatus(manager) {
  for (const { name, processes, workers } of await manager.list()) {
    for (const { instance, pid, state, restarts } of processes) process.stderr.write(`rcluster: ${name} ${instance}: ${state}, process ${pid ?? 'none'}, restarts ${restarts}\n`);
    for (const { seat, pid, state, restarts } of workers) process.stderr.write(`rcluster: ${name} worker ${seat}: ${state}, process ${pid ?? 'none'}, restarts ${restarts}\n`);
  }
}

/**
 * Waits until nothing runs any more, and nothing will.
 *
 * @param {Manager} manager
 * @param {AsyncGenerator<import('../../client').ManagerEvent, void, void>} events
 * @param {Asked} asked
 * @param {{ again: () => void }} looks What makes it look again besides events.
 * @returns {Promise<number>} The exit code.
 */
async function outcome(manager, events, asked, looks) {
  /** Apps of which it was said that they have failed. @type {Set<string>} */
  const told = new Set();
  const nextEvent = () => {
    const event = events.next().catch(ifGone);
    // It may fail before it is waited for.
    event.catch(() => {});
    return event;
  };
  let event = nextEvent();
  for (;;) {
    const again = new Promise((resolve) => {
      looks.again = () => resolve(AGAIN);
    });
    const apps = await manager.list().catch(ifGone);
    if (!apps) {
      await sleep(LOOK);
      continue;
    }
    for (const { name, processes } of apps) {
      const failed = processes.find(({ state }) => state === 'errored');
      if (failed && !told.has(name)) fail(`${name}: ${failed.lastError}`);
      if (failed) told.add(name);
    }
    const all = apps.flatMap(({ processes }) => processes);
    // What waits for its time is not over.
    const waits = !asked.toStop && apps.some(({ nextRun }) => nextRun !== null);
    if (!waits && all.every(({ state }) => state === 'stopped' || state === 'errored')) {
      const failed = [...all.filter(({ state }) => state === 'errored'), ...all].map((one) => exitCode(one, asked.toStop));
      return failed.find((code) => code !== 0) ?? 0;
    }
    const next = await Promise.race([event, again]);
    if (next === AGAIN) continue;
    if (!next || next.done) {
      // Another daemon is there, or about to be.
      await sleep(LOOK);
      events = manager.events();
      // The one that heard of it may have died.
      asked.again();
    }
    event = nextEvent();
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
 * As a shell has it. Whoever was asked to end and did is no failure; whoever had to be killed is.
 *
 * @param {ProcessStatus} process
 * @param {boolean} wasAsked
 */
function exitCode({ state, exitCode: code, signal }, wasAsked) {
  if (state === 'errored') return code || (signal === null ? 1 : ofSignal(signal));
  if (signal !== null) return wasAsked && TOLD.includes(signal) ? 0 : ofSignal(signal);
  return code === null || (wasAsked && TOLD_CODES.includes(code)) ? 0 : code;
}

/** @param {string} signal */
const ofSignal = (signal) => 128 + (os.constants.signals[/** @type {NodeJS.Signals} */ (signal)] ?? 0);
