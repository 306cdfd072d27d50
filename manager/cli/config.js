'use strict';

// Configuration files: PM2's ecosystem files in every form, and ours, which may say more.

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { parseEnv } = require('node:util');

const { environment } = require('./app.js');
const { readApp } = require('./keys.js');

/** What a configuration file may be called; anything that ends with `.json` is one as well. */
const NAMED = /(?:^|[/.])(?:config|ecosystem)\.(?:js|cjs|mjs)$|\.json$/;

/**
 * The file that a word names, if it is a configuration.
 *
 * @param {string} word
 */
function configFile(word) {
  return NAMED.test(word) && fs.existsSync(word) ? path.resolve(word) : undefined;
}

/**
 * The apps of a configuration file, as the manager wants them. Throws an error that names the file, the app and the key.
 *
 * @param {string} file
 * @param {{ environment?: string, only?: string }} options `environment`: whose `env_<name>` counts as well; `only`: names of apps, parted by commas.
 * @returns {Promise<any[]>}
 */
async function readConfig(file, { environment: wanted, only }) {
  const given = await evaluate(file);
  const list = Array.isArray(given) ? given : (given?.apps ?? (given?.script === undefined ? undefined : [given]));
  if (!Array.isArray(list)) throw new Error(`${file}: there must be a list of apps: module.exports = { apps: [...] }`);
  /** @type {Set<string>} */
  const notices = new Set();
  const names = only?.split(',').map((name) => name.trim());
  const apps = list.map((app, index) => {
    try {
      return complete(readApp(app, { folder: path.dirname(file), notices }), wanted);
    } catch (error) {
      throw new Error(`${file}: app ${index + 1}${app?.name ? ` ("${app.name}")` : ''}: ${/** @type {Error} */ (error).message}`, { cause: error });
    }
  });
  for (const notice of notices) process.stderr.write(`rcluster: ${file}: ${notice}\n`);
  const chosen = names ? apps.filter(({ name }) => names.includes(name)) : apps;
  if (names && chosen.length === 0) throw new Error(`${file}: there is no app called "${only}"`);
  return chosen;
}

/** @param {string} file */
async function evaluate(file) {
  if (file.endsWith('.json')) return parseJson(file);
  const module = await import(pathToFileURL(file).href);
  const value = module.default ?? module;
  return typeof value === 'function' ? value() : value;
}

/**
 * JSON with comments, as PM2 reads it.
 *
 * @param {string} file
 */
function parseJson(file) {
  const text = fs.readFileSync(file, 'utf8');
  const bare = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[^]*?\*\//g, (match, quoted) => quoted ?? match.replace(/[^\n]/g, ' '));
  try {
    return JSON.parse(bare);
  } catch (error) {
    throw new Error(`${file}: ${place(bare, /** @type {Error} */ (error).message)}`, { cause: error });
  }
}

/**
 * The line of an error in JSON.
 *
 * @param {string} text
 * @param {string} message
 */
function place(text, message) {
  const position = /position (\d+)/.exec(message);
  return position ? `line ${text.slice(0, Number(position[1])).split('\n').length}: ${message}` : message;
}

/**
 * With the environment that it is to have.
 *
 * @param {any} app
 * @param {string | undefined} wanted
 */
function complete({ environments, envFile, filterEnv, env, time, ...app }, wanted) {
  if (wanted !== undefined && !Object.hasOwn(environments, wanted) && Object.keys(environments).length > 0) {
    process.stderr.write(`rcluster: app "${app.name}" has no "env_${wanted}"\n`);
  }
  const file = envFile === undefined ? {} : parseEnv(fs.readFileSync(path.resolve(app.cwd, envFile), 'utf8'));
  const outer = filtered(environment(process.env), filterEnv);
  return {
    ...app,
    ...(time === true && app.logFormat === undefined && { logFormat: 'time' }),
    env: { ...outer, ...file, ...env, ...environments[wanted ?? ''] },
  };
}

/**
 * @param {Record<string, string | undefined>} env
 * @param {unknown} filter
 */
function filtered(env, filter) {
  if (filter === true) return {};
  const beginnings = Array.isArray(filter) ? filter : typeof filter === 'string' ? [filter] : [];
  return Object.fromEntries(Object.entries(env).filter(([name]) => !beginnings.some((beginning) => name.startsWith(beginning))));
}

module.exports = { configFile, readConfig };
