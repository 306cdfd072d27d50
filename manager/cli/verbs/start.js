'use strict';

const { show } = require('../act.js');
const { appFromArguments, keysFromOptions } = require('../app.js');
const { appWith } = require('../change.js');
const { configFile } = require('../config_name.js');
const { START_FLAGS } = require('../flags.js');
const { appsFrom, bringAbout } = require('../start_apps.js');
const { needFiles } = require('../targets.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts scripts, the apps of a configuration file (of this folder, when none is named), or apps that were stopped.',
  usage: '[script | config file | - | name | id | namespace | /pattern/ | all] ... [options] [-- arguments of the script]',
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    if (options.daemon === false) return require('./run.js').run(manager, words, options, rest);
    const keys = keysFromOptions(options);
    const known = [];
    const others = [];
    for (const word of words) {
      // A new name for a script that is called like an app: rcluster start npm --name web -- run serve.
      const isNew = (keys.name ?? keys.namespace) !== undefined && isScript(word, rest, options);
      if (!configFile(word) && !isNew && (await isKnown(manager, word))) known.push(word);
      else others.push(word);
    }
    const apps = [];
    const since = Date.now();
    if (known.length > 0) needFiles(options);
    for (const target of known) {
      if ((keys.name ?? keys.namespace) !== undefined) throw usage(`start: there is an app "${target}" already: rcluster restart ${target} with --name or --namespace calls it otherwise`);
      if (Object.keys(keys).length > 0 || rest !== undefined) {
        await manager.start(await appWith(manager, target, keys, rest, undefined), { known: options.force ? 'restart' : 'apply', updateEnv: true });
        // That leaves what was stopped as it is.
        apps.push(...(await manager.act(target, 'start')));
      } else if (options.force) apps.push(...(await manager.restart(target)));
      else apps.push(...(await manager.act(target, 'start')));
    }
    if (apps.length > 0) show(apps, options);
    const wanted = words.length > 0 && others.length === 0 ? [] : await appsFrom('start', others, options, rest);
    if (keys.name === undefined) await needOwnNames(manager, wanted, others);
    if (wanted.length > 0) await bringAbout(manager, wanted, options, 'apply');
    const names = [...apps, ...wanted].map(({ name, namespace = 'default' }) => `${namespace}:${name}`);
    if (options.attach) await require('../log_stream.js').show(manager, names, { since, follow: true }, require('../log_lines.js').printer({}));
    return undefined;
  },
};

/**
 * A script that would get the name of an app that runs another one has not been meant to take its place.
 *
 * @param {import('../../client.js').Manager} manager
 * @param {any[]} wanted
 * @param {string[]} words What they come from.
 */
async function needOwnNames(manager, wanted, words) {
  if (words.length === 0 || words.some((word) => configFile(word))) return;
  const known = await manager.describe('all');
  const line = (/** @type {{ script: string, args?: string[] }} */ { script, args = [] }) => (args[0] === '-c' ? args[1] : script);
  for (const app of wanted) {
    const other = known.find(({ name, namespace }) => name === app.name && namespace === (app.namespace ?? 'default'));
    if (other && line(other) !== line(app)) throw new Error(`there is an app "${app.name}" already, which runs ${line(other)}: --name gives this one a name of its own`);
  }
}

/**
 * @param {string} word
 * @param {string[] | undefined} args
 * @param {any} options
 */
function isScript(word, args, options) {
  try {
    appFromArguments(word, args ?? [], options);
    return true;
  } catch {
    return false;
  }
}

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
