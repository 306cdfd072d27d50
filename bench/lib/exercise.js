'use strict';

/** Servers that measure themselves: started, asked for one line of JSON, ended. */

const { Running, ask } = require('./processes.js');
const { rivalEnv, script } = require('./server.js');

/** @typedef {import('./rivals.js').Rival} Rival */

/**
 * @param {Rival} rival
 * @param {string} name  a file of bench/servers
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<any>} what it printed
 */
function runExercise(rival, name, env) {
  return ask({ command: process.execPath, args: [script(name)], env: { ...rivalEnv(rival), ...env }, timeout: 15_000 });
}

/**
 * Starts one that measures for a moment each time it is asked (servers/primary.js, `measureWhenAsked`).
 * @param {Rival} rival
 * @param {string} name
 * @param {NodeJS.ProcessEnv} env
 */
function startExercise(rival, name, env) {
  return new Running({ command: process.execPath, args: [script(name)], env: { ...rivalEnv(rival), ...env }, timeout: 15_000 });
}

/**
 * Where the scheduling policy plays no part, one of each kind is enough, and one of the other checkout if there is one.
 * @param {Rival} rival
 * @returns {boolean}
 */
function oneOfEachKind({ id }) {
  return id === 'node rr' || id === 'rcluster rr' || id === 'before rr';
}

module.exports = { runExercise, startExercise, oneOfEachKind };
