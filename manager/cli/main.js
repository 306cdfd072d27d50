'use strict';

// Runs a verb. Each is a small file that is loaded when it is used.

const { fail, manner, notice, progress, write } = require('./say.js');
const { INSTEAD, VERBS } = require('./verbs.js');
const { help, read, usage } = require('./words.js');

/**
 * A verb: one line about it, its options, and what it does.
 *
 * @typedef {object} Verb
 * @property {string} summary
 * @property {string} usage
 * @property {import('./words.js').Flag[]} [flags]
 * @property {(manager: import('../client.js').Manager, words: string[], options: any, rest?: string[]) => void | Promise<void>} run `rest`: what follows `--`.
 * @property {boolean} [needsDaemon] Whether one is started if none runs; it is, unless this is false.
 * @property {boolean} [takesTime] It waits for something else than an answer: no progress is shown.
 */

/**
 * What fails is said in one line; the exit code is 1, or 2 for wrong usage.
 *
 * @param {string[]} argv The verb and what follows it.
 */
async function run([word, ...argv]) {
  if (Object.hasOwn(INSTEAD, word)) return fail(`${word}: ${INSTEAD[word]}`);
  /** @type {Verb} */
  const verb = require(`./verbs/${VERBS[word]}.js`);
  const { Manager } = require('../client.js');
  const manager = new Manager({ autostart: verb.needsDaemon !== false });
  let done = () => {};
  try {
    const { words, options, rest } = read(argv, verb.flags ?? []);
    if (options.help) return void write(help(word, verb));
    manner.silent = options.silent === true;
    manner.mini = options.miniList === true;
    if (options.color === false) manner.said = false;
    if (!verb.takesTime) done = progress();
    await verb.run(manager, words, options, rest);
    done();
    if (manager.notSaved !== undefined) {
      const then = word === 'kill' ? 'the next daemon does not know of it' : 'the daemon tries again by itself, and another one would not know of it until that has worked';
      notice(`what was done is not written down: ${manager.notSaved}; ${then}`);
    }
    if (manager.otherVersion !== undefined) {
      notice(`the daemon is version ${manager.otherVersion}, this command is ${require('../../package.json').version}: rcluster update replaces it, and no program notices`);
    }
  } catch (error) {
    done();
    fail(inWords(error));
    if (/** @type {any} */ (error).usage) process.exitCode = 2;
  } finally {
    manager.close();
  }
  // What a configuration file has opened, such as a connection, keeps nobody waiting.
  process.stderr.write('', () => process.stdout.write('', () => process.exit()));
  return undefined;
}

/** @param {any} error */
function inWords({ message, syscall }) {
  return syscall === 'uv_cwd' ? 'the folder that this was typed in is not there any more: cd to another one' : message;
}

module.exports = { run, usage };
