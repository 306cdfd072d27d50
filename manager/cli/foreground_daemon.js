'use strict';

// A daemon that is our child, for `rcluster run`.

const { spawn } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');

const { executable } = require('../home.js');

/** How often (ms) it is looked whether a daemon answers that was just started, and for how long. */
const LOOK = 10;
const START = 10_000;

/** @typedef {import('../client.js').Manager} Manager */

/**
 * One that is killed is followed by another: programs do not notice. What programs write goes to our standard output and error.
 *
 * @param {Manager} manager
 * @param {string} look What lines look like there.
 * @returns {Promise<{ expected: boolean }>} To be set when it is to end.
 */
async function startDaemon(manager, look) {
  const state = { expected: false };
  const env = { ...process.env, RCLUSTER_CONSOLE: look };
  const start = () => {
    const child = spawn(executable(), ['daemon', '--home', manager.home, '--foreground'], { stdio: ['ignore', 'inherit', 'inherit'], env });
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

module.exports = { startDaemon };
