'use strict';

// What a run of jest has started, wherever it is by now: each process has the run's folder in its environment, and what a manager has
// started for a test is besides known by the home, which is on its command line, in its environment, or where it is.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { isAlive } = require('./proc');

/** The variable with the folder of a run of jest (global_setup.js). In it is a file for each home that a test has open. */
const RUN = 'TESTS_RUN_FOLDER';
/** How long (ms) what has been told to end may take to be gone. */
const ENDING = 10_000;
const LOOK = 20;

/**
 * @param {string} file
 * @param {(file: string) => string} read
 */
function readOr(file, read = (name) => fs.readFileSync(name, 'latin1')) {
  try {
    return read(file);
  } catch {
    return ''; // gone since, or somebody else's
  }
}

/**
 * @param {(of: { environ: string[], command: string, cwd: string }) => boolean} fits
 * @returns {number[]} the living processes of which that holds, ourselves excepted
 */
function find(fits) {
  const pids = fs.readdirSync('/proc').map(Number).filter((pid) => pid > 1 && pid !== process.pid);
  return pids.filter((pid) => {
    const [environ, command] = ['environ', 'cmdline'].map((name) => readOr(`/proc/${pid}/${name}`));
    const cwd = readOr(`/proc/${pid}/cwd`, fs.readlinkSync);
    return fits({ environ: environ.split('\0'), command, cwd }) && isAlive(pid);
  });
}

/** @param {string} folder That of a home, which nobody else has. @returns {number[]} */
function ofFolder(folder) {
  const isBelow = (/** @type {string} */ text) => text.includes(`${folder}/`) || text.endsWith(folder);
  return find(({ environ, command, cwd }) => isBelow(`${cwd}/`) || isBelow(command) || environ.some(isBelow));
}

/**
 * @param {string} run
 * @param {{ runners?: boolean }} [options] `runners`: also those who run its tests
 * @returns {number[]} what has been started in the run
 */
function ofRun(run, { runners = false } = {}) {
  const isRunner = (/** @type {{ command: string }} */ { command }) => command.includes('jest-worker') || command.includes('jest/bin/jest');
  return find((one) => one.environ.includes(`${RUN}=${run}`) && (runners || !isRunner(one)));
}

/**
 * Waits until none is left.
 *
 * @param {() => number[]} look
 * @param {number} [time] ms
 * @returns {Promise<number[]>} those who are left by then
 */
async function untilNone(look, time = ENDING) {
  for (const deadline = Date.now() + time; ; await sleep(LOOK)) {
    const left = look();
    if (left.length === 0 || Date.now() > deadline) return left;
  }
}

/**
 * Kills all, and those who have been started meanwhile.
 *
 * @param {() => number[]} look
 * @returns {Promise<string[]>} what they were
 */
async function end(look) {
  const were = new Map();
  await untilNone(() => {
    const left = look();
    for (const pid of left) {
      if (!were.has(pid)) were.set(pid, describe(pid));
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
      }
    }
    return left;
  });
  return [...were.values()];
}

/** @param {number} pid */
function describe(pid) {
  return `${pid}: ${readOr(`/proc/${pid}/cmdline`).split('\0').join(' ').trim().slice(0, 200)}`;
}

/** Remembers a home until it is closed. @param {string} folder */
function remember(folder) {
  if (process.env[RUN]) fs.writeFileSync(path.join(process.env[RUN], path.basename(folder)), folder);
}

/** @param {string} folder */
function forget(folder) {
  if (process.env[RUN]) fs.rmSync(path.join(process.env[RUN], path.basename(folder)), { force: true });
}

/** @param {string} run @returns {string[]} the folders of homes that have not been closed */
function remembered(run) {
  return fs.readdirSync(run).map((name) => fs.readFileSync(path.join(run, name), 'utf8'));
}

module.exports = { RUN, describe, end, forget, ofFolder, ofRun, remember, remembered, untilNone };
