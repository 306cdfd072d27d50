'use strict';

// An app as the manager wants it, from what was typed.

const fs = require('node:fs');
const path = require('node:path');

const { KEY_FLAGS, MISSING_FLAGS, NOTHING_FLAGS } = require('./flags.js');
const { readKey, readApp } = require('./keys.js');
const { notice } = require('./say.js');
const { isCommand, isProgram, nameOf } = require('./script.js');
const { parse, usage } = require('./words.js');

/** Options that are written otherwise than their keys. @type {Record<string, (value: any) => any>} */
const AS_KEY = {
  watch: (value) => (typeof value === 'string' ? value.split(/\s+/) : value),
  ignore_watch: (value) => value.split(/\s+/),
  // As PM2.
  watch_delay: (value) => (/^[\d.]+$/.test(value) ? `${value}s` : value),
};

/**
 * What options say of an app, by key. Those that do nothing here are said to, those that are not there are refused.
 *
 * @param {any} options
 * @returns {any} Keys of a configuration file.
 */
function keysFromOptions(options) {
  for (const [name, [spec, about]] of Object.entries(MISSING_FLAGS)) {
    if (options[name] !== undefined) throw usage(`${parse([spec, about]).long} is ${about}`);
  }
  for (const flag of NOTHING_FLAGS) {
    const { long, name, isNo } = parse(flag);
    // --no-daemon is another option than --daemon.
    if (options[name] !== undefined && (isNo || options[name] !== false)) notice(`${long} does nothing here`);
  }
  /** @type {any} */
  const given = options.cron === undefined ? {} : { cron_restart: options.cron };
  for (const [key, flag] of Object.entries(KEY_FLAGS)) {
    const { long, name } = parse(flag);
    if (options[name] === undefined) continue;
    const value = AS_KEY[key]?.(options[name]) ?? options[name];
    try {
      readKey(key, value, long);
    } catch (error) {
      throw usage(/** @type {Error} */ (error).message);
    }
    given[key] = value;
  }
  return given;
}

/**
 * @param {string} script As it was typed: a file, a program of the PATH, or a whole command line.
 * @param {string[]} args
 * @param {any} options
 */
function appFromArguments(script, args, options) {
  const given = keysFromOptions(options);
  const { node_args: nodeArgs, user, args: more, ...keys } = given;
  const cwd = path.resolve(keys.cwd ?? '.');
  if (!fs.existsSync(cwd)) throw new Error(`there is no folder "${cwd}" (--cwd)`);
  const file = path.resolve(cwd, script);
  const isFile = fs.existsSync(file) && !(fs.statSync(file).isDirectory() && isProgram(script));
  const all = [...(more === undefined ? [] : readKey('args', more, '--args')), ...args];
  const isLine = !isFile && isCommand(script);
  if (!isFile && !isLine && keys.interpreter === undefined && !isProgram(script)) throw new Error(`there is no script "${keys.cwd === undefined ? script : file}"`);
  /** @type {Set<string>} */
  const notices = new Set();
  const app = readApp({
    script: isFile ? file : script,
    name: nameOf(isLine ? script : file),
    ...(nodeArgs !== undefined && { interpreter_args: nodeArgs }),
    ...(user !== undefined && { uid: user }),
    ...keys,
    ...(all.length > 0 && { args: all }),
    cwd,
  }, { folder: process.cwd(), notices });
  for (const text of notices) notice(text);
  return app;
}

module.exports = { appFromArguments, keysFromOptions };
