'use strict';

// Where the manager keeps everything, and where its executable is.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Where a home is made when there can be none below $HOME, as on a read-only root file system: engines for containers mount both. */
const ELSEWHERE = Object.freeze(['/tmp', '/dev/shm']);

/**
 * That of `rcluster run` is found as well, wherever it had to be made.
 *
 * @param {NodeJS.ProcessEnv} [env]
 */
function home(env = process.env) {
  if (env.RCLUSTER_HOME) return path.resolve(env.RCLUSTER_HOME);
  const [own, ...others] = places();
  if (fs.existsSync(own)) return own;
  return others.find((folder) => isOurs(folder) && fs.existsSync(path.join(folder, 'daemon.sock'))) ?? own;
}

/** The home for a daemon that needs one that can be written to, and for nothing that outlives it. */
function homeToRun() {
  if (process.env.RCLUSTER_HOME) return home();
  const all = places();
  const found = all.find(canBeUsed);
  if (found === undefined) throw new Error(`there is no folder to write to: not ${all.map((folder) => `"${folder}"`).join(', ')}. Mount one, such as by docker run --tmpfs /tmp, or name one by RCLUSTER_HOME`);
  return found;
}

/** Whether it is one that nobody has asked for. @param {string} folder */
const isMadeToRun = (folder) => !process.env.RCLUSTER_HOME && places().indexOf(folder) > 0;

/** The usual one first. */
function places() {
  return [path.join(homeOfUser(), '.rcluster'), ...ELSEWHERE.map((folder) => path.join(folder, `rcluster-${process.getuid?.()}`))];
}

/** A user of a container may be a number without a name, and have none. */
function homeOfUser() {
  if (process.env.HOME) return process.env.HOME;
  try {
    return os.homedir();
  } catch {
    return '/';
  }
}

/** @param {string} folder */
function canBeUsed(folder) {
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    return isOurs(folder);
  } catch {
    return false;
  }
}

/** Anybody may make folders in /tmp. @param {string} folder */
function isOurs(folder) {
  const data = fs.lstatSync(folder, { throwIfNoEntry: false });
  return data?.isDirectory() === true && data.uid === process.getuid?.();
}

/** The executable, as it is packed, or as `npm run build:manager` places it. */
const executable = () => require('../lib/binary-name.js').managerPath();

module.exports = { executable, home, homeToRun, isMadeToRun };
