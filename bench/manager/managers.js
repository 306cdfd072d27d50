'use strict';

// The process managers that are compared: how each is told what, and which processes are its own.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

/**
 * A process manager with a home of its own.
 *
 * @typedef {object} Rival
 * @property {string} name
 * @property {string} home
 * @property {(...words: string[]) => string} run Its command, to its end.
 * @property {() => { name: string, pid: number, status: string }[]} list What its `jlist` says.
 * @property {() => number} daemon
 * @property {() => number[]} own The daemon, and whatever else of it stays besides programs.
 * @property {() => Promise<void>} end With all that it runs.
 */

/** Where PM2 is installed for this. */
const PM2_FOLDER = path.join(__dirname, '..', '..', '.cache', 'bench', 'pm2');

/** Those that have not been ended. @type {Set<Rival>} */
const running = new Set();

/** Homes of all that have been there. @type {string[]} */
const homes = [];

/**
 * Removes the homes. Not before all has been measured: for a minute ext4 looks at each number of a file that was removed and does not give it to another
 * one, so that whoever makes many files then would pay for those of the round before.
 */
function removeHomes() {
  for (const home of homes.splice(0)) fs.rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** How long (ms) a manager may take to end with its programs. */
const ENDING = 5000;

/** @param {number} pid */
const start = (pid) => {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')[19];
  } catch {
    return undefined;
  }
};

/**
 * Sees to it that these processes end: by themselves, or by SIGKILL. A number that has become another process's is left alone.
 *
 * @param {Map<number, string | undefined>} known Their starts.
 */
async function seeEnd(known) {
  const left = () => [...known].filter(([pid, began]) => began !== undefined && start(pid) === began).map(([pid]) => pid);
  const until = Date.now() + ENDING;
  while (left().length > 0 && Date.now() < until) await sleep(20);
  for (const pid of left()) process.kill(pid, 'SIGKILL');
}

/**
 * @param {string} name
 * @param {string} command
 * @param {string} variable Of the environment: the home.
 * @param {(home: string) => number[]} own
 * @returns {Rival}
 */
function rival(name, command, variable, own) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  if (homes.push(home) === 1) process.once('exit', removeHomes);
  const env = { ...process.env, [variable]: home };
  const run = (/** @type {string[]} */ ...words) => {
    const { status, stdout, stderr } = spawnSync(command, words, { env, encoding: 'utf8', cwd: home, maxBuffer: 1 << 30 });
    if (status !== 0) throw new Error(`${name} ${words.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  };
  const list = () => {
    const text = run('jlist');
    return JSON.parse(text.slice(text.indexOf('['))).map((/** @type {any} */ one) => ({ name: one.name, pid: one.pid, status: one.pm2_env.status }));
  };
  /** @type {Rival} */
  const self = {
    name,
    home,
    run,
    list,
    daemon: () => own(home)[0],
    own: () => own(home),
    async end() {
      running.delete(self);
      const known = new Map();
      try {
        for (const pid of [...own(home), ...list().map((/** @type {{ pid: number }} */ one) => one.pid)]) if (pid > 0) known.set(pid, start(pid));
      } catch {
        // It has not begun.
      }
      try {
        run('kill');
      } finally {
        await seeEnd(known);
      }
    },
  };
  running.add(self);
  return self;
}

/** Whoever is told to end in the middle leaves nothing running. */
function endAllOnSignals() {
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.once(signal, () => void Promise.allSettled([...running].map((one) => one.end())).then(() => process.exit(1)));
  }
}

/** @returns {Rival} */
function rcluster() {
  return rival('rcluster', path.join(__dirname, '..', '..', 'bin', 'rcluster.js'), 'RCLUSTER_HOME', (home) => {
    const daemon = Number(fs.readFileSync(path.join(home, 'daemon.pid'), 'utf8'));
    const run = path.join(home, 'run');
    const keepers = fs.readdirSync(run).map((key) => JSON.parse(fs.readFileSync(path.join(run, key, 'keeper.json'), 'utf8')).pid);
    return [daemon, ...keepers];
  });
}

/**
 * Installs PM2 where it is not there yet.
 *
 * @returns {string | undefined} Why it takes no part.
 */
function withoutPm2() {
  if (fs.existsSync(path.join(PM2_FOLDER, 'node_modules', 'pm2', 'bin', 'pm2'))) return undefined;
  fs.mkdirSync(PM2_FOLDER, { recursive: true });
  fs.writeFileSync(path.join(PM2_FOLDER, 'package.json'), '{ "private": true }');
  const { status, error } = spawnSync('npm', ['install', '--no-audit', '--no-fund', 'pm2@7'], { cwd: PM2_FOLDER, stdio: 'ignore' });
  return status === 0 ? undefined : `PM2 is left out: npm could not install it${error ? ` (${error.message})` : ''}`;
}

const nameOfPm2 = () => `PM2 ${JSON.parse(fs.readFileSync(path.join(PM2_FOLDER, 'node_modules', 'pm2', 'package.json'), 'utf8')).version}`;

/** @returns {Rival} */
function pm2() {
  return rival(nameOfPm2(), path.join(PM2_FOLDER, 'node_modules', 'pm2', 'bin', 'pm2'), 'PM2_HOME', (home) => [Number(fs.readFileSync(path.join(home, 'pm2.pid'), 'utf8'))]);
}

module.exports = { endAllOnSignals, nameOfPm2, pm2, rcluster, withoutPm2 };
