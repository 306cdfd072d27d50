'use strict';

// What `start`, `apply`, `startOrRestart` and `startOrReload` have in common.

const fs = require('node:fs');

const { show } = require('./act.js');
const { appFromArguments, keysFromOptions } = require('./app.js');
const { defaultFile, readConfig } = require('./config.js');
const { NAMED, configFile } = require('./config_name.js');
const { withEnvironment } = require('./env.js');
const { print, printJson } = require('./say.js');
const { usage } = require('./words.js');

const IS_TYPESCRIPT = /\.[cm]?tsx?$/;

/**
 * The apps that words name: those of configuration files, and scripts. Where there are no words, those of the folder's configuration file.
 *
 * @param {string} verb
 * @param {string[]} words
 * @param {any} options
 * @param {string[]} [args] Of the scripts.
 * @returns {Promise<any[]>}
 */
async function appsFrom(verb, words, options, args = []) {
  const files = words.length > 0 ? words : [defaultFile()];
  const apps = [];
  for (const word of files) {
    if (word === undefined) throw usage(`${verb}: what? Give a script or a configuration file; there is none in this folder`);
    const file = configFile(word);
    if (file) apps.push(...(await readConfig(file, { env: options.env, only: options.only, keys: keysFromOptions(options) })));
    else if (NAMED.test(word) && !fs.existsSync(word)) throw new Error(`there is no configuration file "${word}"`);
    else apps.push(withEnvironment(appFromArguments(word, args, options), undefined));
  }
  for (const app of apps) if (IS_TYPESCRIPT.test(app.script)) require('./typescript.js').checkTypeScript(app);
  return apps;
}

/**
 * @param {import('../client.js').Manager} manager
 * @param {any[]} apps
 * @param {any} options
 * @param {'apply' | 'restart' | 'reload'} known What becomes of those that are known.
 */
async function bringAbout(manager, apps, options, known) {
  const wanted = { known: options.force ? 'restart' : known, updateEnv: options.updateEnv === true, prune: options.prune === true };
  if (options.dryRun) {
    const plans = await manager.plan(apps, /** @type {any} */ (wanted));
    if (options.json) printJson(plans);
    else print(plans.map(inWords).join('\n') || 'nothing would change');
    return;
  }
  try {
    show(await manager.start(apps, /** @type {any} */ (wanted)), options);
  } catch (error) {
    throw asApp(/** @type {Error} */ (error), apps);
  }
}

/**
 * What the daemon says of one of several apps, in the words of configuration files.
 *
 * @param {Error} error
 * @param {any[]} apps
 */
function asApp(error, apps) {
  const [whole, index] = /^apps\[(\d+)\](?: \(".*?"\))?: /.exec(error.message) ?? [];
  if (whole === undefined) return error;
  // Of what was received nothing is a key.
  const [rule, ...received] = error.message.slice(whole.length).split('. Received ');
  const said = [rule.replaceAll(/"[a-z]+(?:[A-Z][a-z]+)+"/g, (member) => member.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)), ...received];
  return Object.assign(new Error(`app ${Number(index) + 1} ("${apps[Number(index)]?.name}"): ${said.join('. Received ')}`, { cause: error }));
}

/** @type {Record<string, string>} */
const WOULD = {
  add: 'would be listed, and not started', start: 'would start', restart: 'would start anew', reload: 'would be reloaded', scale: 'would get another size', configure: 'would be kept by other rules', none: 'stays as it is',
  delete: 'would be stopped and forgotten',
};

/** @param {import('../client').Plan} plan */
function inWords({ name, action, changes }) {
  const value = (/** @type {unknown} */ one) => JSON.stringify(one);
  const lines = changes.map(({ member, ...of }) => ('from' in of ? `\n  ${member}: ${value(of.from)} → ${value(of.to)}` : `\n  ${member}`));
  return `${name} ${WOULD[action]}${lines.join('')}`;
}

module.exports = { appsFrom, bringAbout };
