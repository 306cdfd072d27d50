'use strict';

// The process managers that are compared: how each is told what, and which processes are its own.

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { executable } = require('../../manager/home.js');

/**
 * A process manager with a home of its own.
 *
 * @typedef {object} Rival
 * @property {string} name
 * @property {(...words: string[]) => string} run Its command, to its end.
 * @property {() => { name: string, pid: number, status: string }[]} list What its `jlist` says.
 * @property {() => number} daemon
 * @property {() => number[]} own The daemon, and whatever else of it stays besides programs.
 * @property {() => void} end
 */

/** Where PM2 is installed for this. */
const PM2_FOLDER = path.join(__dirname, '..', '..', '.cache', 'bench', 'pm2');

/**
 * @param {string} name
 * @param {string} command
 * @param {string} variable Of the environment: the home.
 * @param {(home: string) => number[]} own
 * @returns {Rival}
 */
function rival(name, command, variable, own) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  const env = { ...process.env, [variable]: home };
  const run = (/** @type {string[]} */ ...words) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...words], { env, encoding: 'utf8', cwd: home, maxBuffer: 1 << 30 });
    if (status !== 0) throw new Error(`${name} ${words.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return {
    name,
    run,
    list: () => {
      const text = run('jlist');
      return JSON.parse(text.slice(text.indexOf('['))).map((/** @type {any} */ one) => ({ name: one.name, pid: one.pid, status: one.pm2_env.status }));
    },
    daemon: () => own(home)[0],
    own: () => own(home),
    end: () => {
      run('kill');
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
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

/** @returns {Rival | string} Or why it is not there. */
function pm2() {
  const command = path.join(PM2_FOLDER, 'node_modules', 'pm2', 'bin', 'pm2');
  if (!fs.existsSync(command)) {
    fs.mkdirSync(PM2_FOLDER, { recursive: true });
    fs.writeFileSync(path.join(PM2_FOLDER, 'package.json'), '{ "private": true }');
    const { status, error } = spawnSync('npm', ['install', '--no-audit', '--no-fund', 'pm2@7'], { cwd: PM2_FOLDER, stdio: ['ignore', 'ignore', 'ignore'] });
    if (status !== 0) return `PM2 is left out: npm could not install it${error ? ` (${error.message})` : ''}`;
  }
  const { version } = JSON.parse(fs.readFileSync(path.join(PM2_FOLDER, 'node_modules', 'pm2', 'package.json'), 'utf8'));
  return rival(`PM2 ${version}`, command, 'PM2_HOME', (home) => [Number(fs.readFileSync(path.join(home, 'pm2.pid'), 'utf8'))]);
}

/** @returns {string | undefined} Why rcluster's manager cannot be measured. */
function missing() {
  if (!fs.existsSync(executable())) return 'the manager is not built: npm run build:manager';
  execFileSync(executable(), ['--version']);
  return undefined;
}

module.exports = { missing, pm2, rcluster };
