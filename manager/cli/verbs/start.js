'use strict';

const { show } = require('../act.js');
const { configFile } = require('../config.js');
const { START_FLAGS } = require('../flags.js');
const { appsFrom, bringAbout } = require('../start_apps.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts scripts, the apps of a configuration file (of this folder, when none is named), or apps that were stopped.',
  usage: '[script | config file | - | name | id | namespace | /pattern/ | all] ... [options] [-- arguments of the script]',
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    if (options.daemon === false) return require('./run.js').run(manager, words, options, rest);
    const known = [];
    const others = [];
    for (const word of words) {
      if (!configFile(word) && (await isKnown(manager, word))) known.push(word);
      else others.push(word);
    }
    const apps = [];
    const since = Date.now();
    for (const target of known) {
      if (options.force) apps.push(...(await manager.restart(target)));
      else apps.push(...(await manager.act(target, 'start')));
    }
    if (apps.length > 0) show(apps, options);
    const wanted = words.length > 0 && others.length === 0 ? [] : await appsFrom('start', others, options, rest);
    if (wanted.length > 0) await bringAbout(manager, wanted, options, 'apply');
    const names = [...apps, ...wanted].map(({ name, namespace = 'default' }) => `${namespace}:${name}`);
    if (options.attach) await require('../log_stream.js').show(manager, names, { since, follow: true }, require('../log_lines.js').printer({}));
    return undefined;
  },
};

/**
 * @param {import('../../client.js').Manager} manager
 * @param {string} word
 */
async function isKnown(manager, word) {
  if (word === 'all') return true;
  try {
    await manager.describe(word);
    return true;
  } catch (error) {
    if (/** @type {any} */ (error).code === 'ERR_RCLUSTER_NO_SUCH_TARGET') return false;
    throw error;
  }
}
