'use strict';

// What the words behind a verb mean: apps that the daemon knows by a name, a number, a namespace or a pattern, or that a script or a
// configuration file names.

const path = require('node:path');

const { configFile } = require('./config_name.js');
const { fail, notice } = require('./say.js');
const { usage } = require('./words.js');

/**
 * Does something to each of the words. What one of them does not name is said, and the others are done all the same. Whoever names a
 * configuration file means those of its apps that are there.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string[]} words
 * @param {any} options
 * @param {(target: string) => Promise<any[]>} act
 * @returns {Promise<any[]>} What all of them have given, each app once.
 */
async function forEach(manager, words, options, act) {
  /** @type {Map<string, any>} */
  const all = new Map();
  /** What files name and is not there. @type {Error[]} */
  const missing = [];
  let done = 0;
  const targets = await expand(words, options);
  for (const { word, isOfFile } of targets) {
    try {
      for (const one of await known(manager, word, act)) all.set(`${one.namespace}:${one.name}`, one);
      done++;
    } catch (error) {
      if (isOfFile && isUnknown(error)) missing.push(/** @type {Error} */ (error));
      else if (targets.length === 1) throw error;
      else fail(/** @type {Error} */ (error).message);
    }
  }
  if (done === 0 && missing.length > 0) throw missing[0];
  for (const { message } of missing) notice(message);
  return [...all.values()];
}

/**
 * Configuration files stand for their apps.
 *
 * @param {string[]} words
 * @param {any} options
 */
async function expand(words, options) {
  const targets = [];
  for (const word of words) {
    const file = configFile(word);
    if (!file) targets.push({ word, isOfFile: false });
    else for (const { name, namespace = 'default' } of await require('./config.js').readConfig(file, options)) targets.push({ word: `${namespace}:${name}`, isOfFile: true });
  }
  return targets;
}

/** @param {any} error */
const isUnknown = ({ code }) => code === 'ERR_RCLUSTER_NO_SUCH_TARGET';

/**
 * @param {import('../client.js').Manager} manager
 * @param {string} word
 * @param {(target: string) => Promise<any[]>} act
 */
async function known(manager, word, act) {
  try {
    return await act(word);
  } catch (error) {
    if (!isUnknown(error)) throw error;
    const file = path.resolve(word);
    const ofScript = (await manager.list()).filter(({ script, cwd }) => path.resolve(cwd, script) === file);
    if (ofScript.length === 0) throw error;
    const results = [];
    for (const { name, namespace } of ofScript) results.push(...(await act(`${namespace}:${name}`)));
    return results;
  }
}

/**
 * @param {string} verb
 * @param {string[]} words
 */
function needTargets(verb, words) {
  if (words.length === 0) throw usage(`${verb}: which app? Give a name, a number, a namespace, a pattern such as /api-.*/, a script, a configuration file, or all`);
}

/**
 * What counts for configuration files alone. Where an app is meant otherwise it would do nothing.
 *
 * @param {any} options
 */
function needFiles({ env, only }) {
  if (env !== undefined) throw usage(`--env counts with a configuration file: rcluster restart ecosystem.config.js --env ${env}`);
  if (only !== undefined) throw usage('--only counts with a configuration file');
}

/** How the help of a verb shows its words. */
const TARGETS = '<name | id | namespace | /pattern/ | script | config file | - | all> ...';

module.exports = { TARGETS, forEach, needFiles, needTargets };
