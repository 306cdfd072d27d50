'use strict';

// What `startup` and `unstartup` do with the unit: the file, and what systemd is told.

const fs = require('node:fs');
const path = require('node:path');

const { textOf } = require('./unit.js');

/** @typedef {import('./unit.js').Unit} Unit */

/**
 * Runs `systemctl` or another command of systemd. Returns what it printed; throws what it said.
 *
 * @typedef {(command: string, ...words: string[]) => string} Run
 */

/** @type {Run} */
function run(command, ...words) {
  const { spawnSync } = require('node:child_process');
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8' });
  if (error) throw new Error(`${command} cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`${[command, ...words].join(' ')}: ${stderr.trim() || `it ended with code ${status}`}`);
  return stdout;
}

/** @param {Unit} unit @returns {string[]} */
const manager = ({ user }) => (user === undefined ? ['--user'] : []);

/** Whether systemd runs this machine (sd_booted(3)). */
const isThere = () => fs.existsSync('/run/systemd/system');

/**
 * Writes the unit, and has it started now and with the machine. When systemd refuses, no file is left behind.
 *
 * @param {Unit} unit
 * @param {Run} systemd
 */
function install(unit, systemd = run) {
  const file = path.join(unit.folder, unit.name);
  const before = fs.existsSync(file) ? fs.readFileSync(file) : undefined;
  fs.mkdirSync(unit.folder, { recursive: true });
  fs.writeFileSync(file, textOf(unit));
  try {
    systemd('systemctl', ...manager(unit), 'daemon-reload');
    systemd('systemctl', ...manager(unit), 'enable', '--now', unit.name);
  } catch (error) {
    if (before === undefined) fs.rmSync(file);
    else fs.writeFileSync(file, before);
    throw error;
  }
  return file;
}

/**
 * Takes it back. What runs goes on: it is started with the machine no more.
 *
 * @param {Unit} unit
 * @param {Run} systemd
 */
function uninstall(unit, systemd = run) {
  const file = path.join(unit.folder, unit.name);
  if (!fs.existsSync(file)) return undefined;
  systemd('systemctl', ...manager(unit), 'disable', unit.name);
  fs.rmSync(file);
  systemd('systemctl', ...manager(unit), 'daemon-reload');
  return file;
}

/**
 * Whether the manager of a user runs while the user is not logged in.
 *
 * @param {string} user
 * @param {Run} systemd
 */
function lingers(user, systemd = run) {
  try {
    return systemd('loginctl', 'show-user', user, '--property=Linger', '--value').trim() === 'yes';
  } catch {
    // Of a user who is not logged in and does not linger nothing is known.
    return false;
  }
}

module.exports = { install, isThere, lingers, uninstall };
