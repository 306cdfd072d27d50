'use strict';

// An app as the manager wants it, from what was typed or written into a configuration file.

const fs = require('node:fs');
const { availableParallelism } = require('node:os');
const path = require('node:path');

const { usage } = require('./main.js');

/**
 * The options of `start`.
 *
 * @param {import('commander').Command} command
 */
function flags(command) {
  command
    .option('-n, --name <name>', 'what it is called; the name of the script without its extension by default')
    .option('--namespace <name>', 'a group of apps')
    .option('-i, --instances <count>', 'so many workers of a Node server: a cluster; max for one per available core')
    .option('--interpreter <program>', 'what runs the script; none for the script itself')
    .option('--interpreter-args <args>', 'options of the interpreter')
    .option('--cwd <folder>', 'the folder that it runs in')
    .option('-o, --output <file>', 'where its output goes')
    .option('-e, --error <file>', 'where its errors go')
    .option('--merge-logs', 'instances share the log files')
    .option('--time', 'each line of the log behind its time')
    .option('--no-autorestart', 'it is not started again when it ends')
    .option('--max-restarts <count>', 'it is given up after so many ends that came too soon')
    .option('--min-uptime <ms>', 'what ends sooner has ended too soon')
    .option('--restart-delay <ms>', 'the pause before each restart')
    .option('--exp-backoff-restart-delay <ms>', 'the pause before the first restart, growing with each')
    .option('--kill-timeout <ms>', 'it is killed when it has not ended so long after it was asked to')
    .option('--wait-ready', 'it says process.send("ready") when it is ready')
    .option('--listen-timeout <ms>', 'how long that may take')
    .option('--max-memory-restart <bytes>', 'it is started anew above it, such as 300M')
    .option('--uid <user>', 'whom it runs as')
    .option('--gid <group>', 'the group that it runs as')
    .option('--env <name>', 'of a configuration file: env_<name> as well')
    .option('--only <names>', 'of a configuration file: these apps alone')
    .option('--json', 'the result as JSON');
}

/**
 * @param {string} text
 * @param {string} name
 * @param {number} [least]
 */
function whole(text, name, least = 0) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least) throw usage(`--${name} must be a whole number, ${least} or more. Received '${text}'`);
  return number;
}

/**
 * As `instances` of a configuration file.
 *
 * @param {string} text
 */
function instances(text) {
  const cores = availableParallelism();
  if (text === 'max') return cores;
  if (!/^-?\d+$/.test(text)) throw usage(`--instances must be a whole number, or max. Received '${text}'`);
  return Number(text) > 0 ? Number(text) : Math.max(1, cores + Number(text));
}

/** @param {string} text */
function bytes(text) {
  const match = /^(\d+(?:\.\d+)?)([KMG]?)B?$/i.exec(text);
  if (!match) throw usage(`--max-memory-restart must be a number of bytes, such as 300M. Received '${text}'`);
  return Math.round(Number(match[1]) * { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[/** @type {'' | 'K' | 'M' | 'G'} */ (match[2].toUpperCase())]);
}

/**
 * @param {string} script
 * @param {string[]} args
 * @param {any} options
 */
function appFromArguments(script, args, options) {
  const cwd = path.resolve(options.cwd ?? '.');
  const file = path.resolve(cwd, script);
  if (!fs.existsSync(file) && options.interpreter === undefined && script.includes('/')) throw new Error(`there is no script "${script}"`);
  const number = (/** @type {string} */ name) => {
    const value = options[name.replace(/-(.)/g, (_, letter) => letter.toUpperCase())];
    return value === undefined ? undefined : whole(value, name);
  };
  return stated({
    name: options.name ?? path.basename(script).replace(/\.[^.]+$/, ''),
    namespace: options.namespace,
    mode: options.instances === undefined ? 'program' : 'cluster',
    instances: options.instances === undefined ? undefined : instances(options.instances),
    script,
    args,
    cwd,
    interpreter: options.interpreter,
    interpreterArgs: options.interpreterArgs?.split(/\s+/),
    env: environment(process.env),
    outFile: options.output && path.resolve(options.output),
    errorFile: options.error && path.resolve(options.error),
    mergeLogs: options.mergeLogs,
    logFormat: options.time ? 'time' : undefined,
    autorestart: options.autorestart,
    maxRestarts: number('max-restarts'),
    minUptime: number('min-uptime'),
    restartDelay: number('restart-delay'),
    expBackoff: number('exp-backoff-restart-delay'),
    killTimeout: number('kill-timeout'),
    waitReady: options.waitReady,
    listenTimeout: number('listen-timeout'),
    maxMemory: options.maxMemoryRestart === undefined ? undefined : bytes(options.maxMemoryRestart),
    uid: options.uid,
    gid: options.gid,
  });
}

/** @param {NodeJS.ProcessEnv} env */
function environment(env) {
  return Object.fromEntries(Object.entries(env).filter(([name, value]) => value !== undefined && name !== '_'));
}

/**
 * Without members that are undefined: for those the manager has its defaults.
 *
 * @template {object} T
 * @param {T} object
 */
function stated(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

module.exports = { appFromArguments, environment, flags, stated };
