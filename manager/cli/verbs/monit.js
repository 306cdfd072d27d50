'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { constants } = require('node:os');
const { isatty } = require('node:tty');

const { executable } = require('../../home.js');
const { manner } = require('../say.js');

/** What ends it is passed on: the terminal has to be as it was before. @type {NodeJS.Signals[]} */
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'];

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows on the terminal, live, what runs and what it uses and writes; restarts, reloads, scales and stops it. Press ? for the keys.',
  usage: '',
  takesTime: true,
  async run(manager) {
    const file = executable();
    // No daemon is started where there is nothing to be shown on.
    if (isatty(0) && isatty(1)) await manager.ensureDaemon();
    else if (!fs.existsSync(file)) await require('../../../scripts/build-manager.js').buildManager();
    const env = manner.colors ? process.env : { ...process.env, NO_COLOR: '1' };
    const child = spawn(file, ['monit', '--home', manager.home, '--child'], { stdio: 'inherit', env });
    const pass = (/** @type {NodeJS.Signals} */ signal) => void child.kill(signal);
    for (const signal of SIGNALS) process.on(signal, pass);
    await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        process.exitCode = code ?? 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)];
        resolve(undefined);
      });
    });
    for (const signal of SIGNALS) process.off(signal, pass);
  },
};
