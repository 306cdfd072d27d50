'use strict';

// The verbs of the command. Each is a small file that is loaded when it is used.

/** By every name that a verb has. @type {Record<string, string>} */
const VERBS = {
  start: 'start', stop: 'stop', restart: 'restart', reload: 'reload', scale: 'scale', delete: 'delete', del: 'delete', list: 'list', ls: 'list', l: 'list', ps: 'list', status: 'list',
  jlist: 'jlist', prettylist: 'prettylist', describe: 'describe', show: 'describe', info: 'describe', env: 'env', id: 'id', pid: 'pid',
  logs: 'logs', log: 'logs', reset: 'reset', flush: 'flush', reloadLogs: 'reloadLogs', sendSignal: 'sendSignal', save: 'save', dump: 'save', resurrect: 'resurrect', kill: 'kill', ping: 'ping',
};

/** @param {string | undefined} word */
const isVerb = (word) => word !== undefined && Object.hasOwn(VERBS, word);

/**
 * A verb: one line about it, its options, and what it does.
 *
 * @typedef {object} Verb
 * @property {string} summary
 * @property {string} usage
 * @property {(command: import('commander').Command) => void} [flags]
 * @property {(manager: import('../client.js').Manager, words: string[], options: any) => Promise<void>} run
 * @property {boolean} [needsDaemon] Whether one is started if none runs; it is, unless this is false.
 */

/**
 * Runs a verb. What fails is said in one line; the exit code is 1, or 2 for wrong usage.
 *
 * @param {string[]} argv The verb and what follows it.
 */
async function run([word, ...rest]) {
  const { Command } = require('commander');
  const name = VERBS[word];
  /** @type {Verb} */
  const verb = require(`./verbs/${name}.js`);
  const command = new Command(`rcluster ${word}`).description(verb.summary).usage(verb.usage).argument('[words...]');
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  verb.flags?.(command);
  command.parse(rest, { from: 'user' });
  const { Manager } = require('../client.js');
  const manager = new Manager();
  try {
    if (verb.needsDaemon !== false) await manager.ensureDaemon();
    await verb.run(manager, command.processedArgs[0] ?? [], command.opts());
  } catch (error) {
    process.stderr.write(`rcluster: ${/** @type {Error} */ (error).message}\n`);
    process.exitCode = /** @type {any} */ (error).usage ? 2 : 1;
  } finally {
    manager.close();
  }
}

/**
 * An error of whoever typed the command.
 *
 * @param {string} message
 */
function usage(message) {
  return Object.assign(new Error(message), { usage: true });
}

module.exports = { isVerb, run, usage };
