'use strict';

// Configuration files: PM2's ecosystem files in every form, and ours, which may say more.

const fs = require('node:fs');
const path = require('node:path');

const { withEnvironment } = require('./env.js');
const { evaluate, parseText } = require('./evaluate.js');
const { readApp } = require('./keys.js');
const { notice } = require('./say.js');

/** What is looked for where none is named, and with which endings. */
const LOOKED_FOR = ['rcluster.config', 'ecosystem.config', 'ecosystem'];
const ENDINGS = ['js', 'cjs', 'mjs', 'ts', 'mts', 'json', 'yaml', 'yml'];

/**
 * @typedef {object} Choice
 * @property {string} [env] Whose `env_<name>` counts as well.
 * @property {string} [only] Names of apps, parted by commas.
 * @property {any} [keys] Keys that every app has besides, as options say them.
 */

/** The configuration file of this folder. */
function defaultFile() {
  return LOOKED_FOR.flatMap((name) => ENDINGS.map((ending) => path.resolve(`${name}.${ending}`))).find((file) => fs.existsSync(file));
}

/**
 * The apps of a configuration file, as the manager wants them. Throws an error that names the file, the app and the key.
 *
 * @param {string} file
 * @param {Choice} [choice]
 * @returns {Promise<any[]>}
 */
async function readConfig(file, { env: wanted, only, keys = {} } = {}) {
  const isInput = file === '-';
  const shown = isInput ? 'standard input' : file;
  const given = isInput ? parseText(await readInput(), shown) : await evaluate(file);
  // PM2 has had three names for it, and takes one app alone as well.
  const named = given?.apps ?? given?.processes ?? given?.pm2;
  const list = Array.isArray(given) ? given : (named ?? ((given?.script ?? given?.exec ?? given?.path) === undefined ? undefined : [given]));
  if (!Array.isArray(list)) throw new Error(`${shown}: there must be a list of apps: module.exports = { apps: [...] }`);
  /** @type {Set<string>} */
  const notices = new Set();
  const folder = isInput ? process.cwd() : path.dirname(file);
  const names = only === undefined ? undefined : namesIn(only, list);
  const { node_args: nodeArgs, user, ...rest } = keys;
  const more = { ...(nodeArgs !== undefined && { interpreter_args: nodeArgs }), ...(user !== undefined && { uid: user }), ...rest };
  const apps = list.map((app, index) => {
    try {
      const isObject = typeof app === 'object' && app !== null && !Array.isArray(app);
      const read = readApp(isObject ? { ...app, ...more } : app, { folder, notices });
      const isChosen = names === undefined || names.includes(read.name);
      if (read.appendEnvToName === true && wanted !== undefined) read.name += `-${wanted}`;
      delete read.appendEnvToName;
      if (isChosen && wanted !== undefined && !Object.hasOwn(read.environments, wanted)) notices.add(`app "${read.name}" has no "env_${wanted}"`);
      return isChosen ? withEnvironment(read, wanted) : undefined;
    } catch (error) {
      throw new Error(`${shown}: app ${index + 1}${app?.name ? ` ("${app.name}")` : ''}: ${/** @type {Error} */ (error).message}`, { cause: error });
    }
  });
  for (const text of notices) notice(`${shown}: ${text}`);
  const chosen = apps.filter((app) => app !== undefined);
  const missing = names?.find((name) => !chosen.some((app) => app.name === name || app.name === `${name}-${wanted}`));
  if (missing !== undefined) throw new Error(`${shown}: there is no app called "${missing}"`);
  return chosen;
}

/**
 * Names that are parted by commas or, as PM2 has it, by spaces; a name may have spaces itself.
 *
 * @param {string} text
 * @param {any[]} list
 */
function namesIn(text, list) {
  const isName = (/** @type {string} */ word) => list.some((app) => app?.name === word);
  return text.split(',').map((part) => part.trim()).flatMap((part) => (isName(part) ? [part] : part.split(/\s+/))).filter((name) => name !== '');
}

async function readInput() {
  if (process.stdin.isTTY) throw new Error('standard input is a terminal: give a configuration there, such as rcluster start - < apps.json');
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  return text;
}

module.exports = { defaultFile, readConfig };
