'use strict';

// The environment that an app gets.

const fs = require('node:fs');
const path = require('node:path');

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>}
 */
function environment(env) {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value === undefined || name === '_' ? [] : [[name, value]])));
}

/**
 * An app with the environment that it is to have, and which variables of it were said of this app.
 *
 * @param {any} app As it was read from keys.
 * @param {string | undefined} wanted Whose `env_<name>` counts as well.
 */
function withEnvironment({ environments, envFile, filterEnv, env, ...app }, wanted) {
  const { parseEnv } = require('node:util');
  const file = envFile === undefined ? {} : parseEnv(read(path.resolve(app.cwd, envFile)));
  const stated = { ...file, ...env, ...environments[wanted ?? ''] };
  return { ...app, env: { ...filtered(environment(process.env), filterEnv), ...stated }, statedEnv: Object.keys(stated).sort() };
}

/** @param {string} file */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`"env_file" cannot be read: ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/**
 * @param {Record<string, string | undefined>} env
 * @param {unknown} filter
 */
function filtered(env, filter) {
  if (filter === true) return {};
  const beginnings = Array.isArray(filter) ? filter : typeof filter === 'string' ? filter.split(/[\s,]+/) : [];
  return Object.fromEntries(Object.entries(env).filter(([name]) => !beginnings.some((beginning) => name.startsWith(beginning))));
}

module.exports = { environment, withEnvironment };
