'use strict';

// Every key of an app in a configuration file: what it is called, what it may be, and what the manager makes of it. docs/config.md
// is held against this table by a test.

const fs = require('node:fs');
const path = require('node:path');

const { didYouMean } = require('./nearest.js');
const { isCommand, nameOf, settleScript } = require('./script.js');

/**
 * A key.
 *
 * @typedef {object} Key
 * @property {string[]} [aliases] PM2's other names for it.
 * @property {keyof typeof READ} type
 * @property {string} [to] The member of the app; its own name in camelCase by default.
 * @property {string} [option] That of the command that runs a cluster, where it is one.
 * @property {string} about
 */

/** @param {string} rule @param {unknown} value */
const bad = (rule, value) => new TypeError(`must be ${rule}. Received ${JSON.stringify(value)}`);

/** How a value is read: what it becomes, or an error that says the rule. */
const READ = {
  /** @param {unknown} value */
  text(value) {
    if (typeof value !== 'string' || value === '') throw bad('a text that is not empty', value);
    return value;
  },
  /** @param {unknown} value */
  file(value) {
    if (typeof value !== 'boolean' && (typeof value !== 'string' || value === '')) throw bad('a text that is not empty, or true', value);
    return value;
  },
  /** @param {unknown} value */
  user(value) {
    if (typeof value !== 'string' && typeof value !== 'number') throw bad('a name or a number', value);
    return String(value);
  },
  /** @param {unknown} value */
  flag(value) {
    if (typeof value !== 'boolean') throw bad('true or false', value);
    return value;
  },
  /** @param {unknown} value */
  count(value) {
    if (!Number.isInteger(Number(value)) || Number(value) < 0 || value === '' || typeof value === 'boolean') throw bad('a whole number, 0 or more', value);
    return Number(value);
  },
  /** @param {unknown} value */
  time(value) {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(String(value));
    if (!match) throw bad("a time in milliseconds, or such as '10s', '5m' or '1h'", value);
    return Math.round(Number(match[1]) * { ms: 1, '': 1, s: 1000, m: 60_000, h: 3_600_000 }[/** @type {'ms' | 's' | 'm' | 'h' | ''} */ (match[2])]);
  },
  /** @param {unknown} value */
  bytes(value) {
    const match = /^(\d+(?:\.\d+)?)([KMG]?)B?$/i.exec(String(value));
    if (!match) throw bad("a number of bytes, or such as '300M' or '1G'", value);
    return Math.round(Number(match[1]) * { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[/** @type {'' | 'K' | 'M' | 'G'} */ (match[2].toUpperCase())]);
  },
  /** @param {unknown} value */
  instances(value) {
    /** @type {number} */
    const cores = require('../../lib/bundle.js').requireOurs('supervisor/cores.js').availableCores();
    if (value === 'max') return cores;
    const number = Number(value);
    if (!Number.isInteger(number) || value === '' || typeof value === 'boolean') throw bad("a whole number, or 'max'", value);
    // As PM2: 0 is one for each core, -1 one for each but one.
    return number > 0 ? number : Math.max(1, cores + number);
  },
  /** @param {unknown} value */
  words(value) {
    if (typeof value === 'string') return split(value);
    if (!Array.isArray(value)) throw bad('a text, or a list of texts', value);
    return value.map((word) => (typeof word === 'string' || typeof word === 'number' ? String(word) : fail('a list of texts', value)));
  },
  /** @param {unknown} value */
  numbers(value) {
    const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(/[\s,]+/) : [value];
    return list.map((one) => (Number.isInteger(Number(one)) && one !== '' ? Number(one) : fail('a number, or a list of numbers', value)));
  },
  /** @param {unknown} value */
  variables(value) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw bad('an object of variables', value);
    return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined).map(([name, one]) => [name, typeof one === 'object' ? JSON.stringify(one) : String(one)]));
  },
  /** @param {unknown} value */
  period(value) {
    if (value !== 'hourly' && value !== 'daily' && value !== 'weekly') throw bad("'hourly', 'daily' or 'weekly'", value);
    return value;
  },
  /** @param {unknown} value */
  mode(value) {
    if (value === 'fork' || value === 'fork_mode') return 'program';
    if (value === 'cluster' || value === 'cluster_mode') return 'cluster';
    throw bad("'fork' or 'cluster'", value);
  },
  /** @param {unknown} value */
  readiness(value) {
    if (value !== 'listening' && value !== 'message' && value !== 'online') throw bad("'listening', 'message' or 'online'", value);
    return value;
  },
  /** @param {unknown} value */
  place(value) {
    if (typeof value !== 'number' && (typeof value !== 'string' || value === '')) throw bad("a port, 'host:port' or the path of a Unix socket", value);
    return value;
  },
  /** @param {unknown} value */
  senders(value) {
    /** @type {typeof import('../../lib/supervisor/trusted.js')} */
    const { RULE, noSender, senders } = require('../../lib/bundle.js').requireOurs('supervisor/trusted.js');
    return senders(value) ?? fail(RULE, noSender(value));
  },
  /** @param {unknown} value */
  format(value) {
    if (value === 'raw' || value === 'json') return value;
    throw bad("'raw' or 'json'", value);
  },
  /** @param {unknown} value What the fields may be the manager says. */
  cron(value) {
    // As PM2: that is how there is none.
    if (value === 0 || value === '0' || value === false) return null;
    if (typeof value !== 'string') throw bad("a line of cron such as '0 3 * * *'", value);
    return value;
  },
  /** @param {unknown} value What there is to be watched; the paths are those of the manager's folder of the app. */
  watched(value) {
    if (value === true) return ['.'];
    if (value === false) return [];
    return READ.paths(value, 'true, or a path, or a list of paths');
  },
  /** @param {unknown} value @param {string} [rule] */
  paths(value, rule = 'a path or a pattern, or a list of them') {
    const list = Array.isArray(value) ? value : [value];
    return list.map((one) => (typeof one === 'string' && one !== '' ? one : fail(rule, value)));
  },
  /** @param {unknown} value */
  webhook(value) {
    const rule = "an address such as 'https://example.org/hook', or { url, secret }";
    const { url, secret, ...rest } = typeof value === 'string' ? { url: value } : Object(value);
    const isAddress = typeof url === 'string' && /^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '');
    const isSecret = secret === undefined || secret === null || (typeof secret === 'string' && secret !== '');
    // What was given may have the secret in it.
    if (!isAddress || Object.keys(rest).length > 0) throw bad(rule, isAddress ? Object.keys(Object(value)) : (url ?? value));
    if (!isSecret) throw bad('{ url, secret } with a text as its secret', secret === '' ? '' : typeof secret);
    return { url, secret: secret ?? null };
  },
  /** @param {unknown} value */
  anything: (value) => value,
};

/** @param {string} rule @param {unknown} value @returns {never} */
function fail(rule, value) {
  throw bad(rule, value);
}

/**
 * Words of a command line, with quotes as a shell has them. As under PM2 a backslash is one, and so is an apostrophe: it's.
 *
 * @param {string} text
 */
function split(text) {
  return [...text.matchAll(/(?:"[^"]*"|(?<!\w)'[^']*'|\S)+/g)].map(([word]) => word.replace(/"([^"]*)"|(?<!\w)'([^']*)'/g, (_, double, single) => double ?? single));
}

/** @type {Record<string, Key>} */
const KEYS = {
  name: { type: 'text', about: 'What it is called; the name of the script without its extension by default.' },
  namespace: { type: 'text', about: 'A group of apps that verbs can be given.' },
  script: { aliases: ['exec', 'path'], type: 'text', about: 'The file to run.' },
  args: { type: 'words', about: 'Its arguments.' },
  cwd: { type: 'text', about: "The folder that it runs in. By default the configuration file's, or the command's where the script is only there." },
  interpreter: { aliases: ['exec_interpreter'], type: 'text', about: "What runs the script; 'none' for the script itself. By its extension by default." },
  interpreter_args: { aliases: ['node_args', 'interpreterArgs', 'nodeArgs'], type: 'words', about: 'Options of the interpreter.' },
  source_map_support: { type: 'flag', about: 'Whether Node shows where errors are in the sources: --enable-source-maps.' },
  exec_mode: { aliases: ['execMode'], type: 'mode', to: 'mode', about: "'fork' for any program, 'cluster' for a Node server." },
  instances: { type: 'instances', about: "How many; 'max' for one per available core, -1 for one less." },
  instance_var: { type: 'text', about: 'The variable that tells each instance its number.' },
  increment_var: { type: 'text', about: 'A variable that is a number, such as PORT, and one more for each further instance; for processes, not for the workers of a cluster.' },
  env: { type: 'variables', about: 'Variables of its environment, besides those of whoever starts it.' },
  port: { type: 'count', about: 'The variable PORT of its environment.' },
  env_file: { type: 'text', about: 'A file with more of them.' },
  append_env_to_name: { type: 'flag', about: "Whether it is called 'name-production' with --env production." },
  filter_env: { type: 'anything', about: 'Variables of whoever starts it that it does not get: true for all, or a list of beginnings.' },
  autostart: { type: 'flag', about: 'Whether it is started, and not only listed until somebody starts it.' },
  autorestart: { type: 'flag', about: 'Whether it is started again when it ends by itself.' },
  max_restarts: { type: 'count', about: 'It is given up after so many ends in a row that came too soon.' },
  min_uptime: { type: 'time', about: 'What ends sooner has ended too soon.' },
  restart_delay: { type: 'time', about: 'The pause before each restart.' },
  exp_backoff_restart_delay: { type: 'time', to: 'expBackoff', about: 'The pause before the first restart, growing with each.' },
  stop_exit_codes: { type: 'numbers', about: 'Exit codes after which it is not started again.' },
  kill_signal: { type: 'text', about: 'How it is asked to end.' },
  kill_timeout: { type: 'time', about: 'It is killed when it has not ended so long after it was asked to.' },
  treekill: { type: 'flag', about: 'Whether what it has started ends with it.' },
  shutdown_with_message: { type: 'flag', about: "It is asked to end by the message 'shutdown' instead of a signal." },
  wait_ready: { type: 'flag', about: "It says process.send('ready') when it is ready." },
  listen_timeout: { type: 'time', about: 'How long it may take to be ready.' },
  ready: { type: 'readiness', option: '--ready', about: "When a worker of a cluster is ready: 'listening' by default, 'message' with wait_ready, 'online' for one that has other work than to listen." },
  health: { type: 'place', option: '--health', about: "Where the primary of a cluster answers probes (/live, /ready): a port, 'host:port' or the path of a Unix socket." },
  min_ready: { type: 'count', option: '--min-ready', about: 'With fewer ready workers /ready says no; 1 by default.' },
  hang_timeout: { type: 'time', option: '--hang-timeout', about: 'A worker of a cluster whose event loop does not turn for so long is killed and replaced; 30 s by default, 0 for never.' },
  keep_alive_timeout: { type: 'time', option: '--keep-alive-timeout', about: 'HTTP connections of a cluster may stay idle for so long, where the script says nothing of it.' },
  proxy_protocol: { type: 'senders', option: '--proxy-protocol', about: "Proxies that say by the PROXY protocol whom a connection of a cluster is from: addresses, networks, 'unix'." },
  stop_delay: { type: 'time', option: '--stop-delay', about: 'A cluster that is told to stop serves on for so long, while /ready says that it ends. kill_timeout begins to count after it.' },
  seat_listen: { type: 'text', option: '--seat-listen', about: "An address for each worker of a cluster alone, for proxies that keep clients with one worker: ports from '3001+' on, or Unix sockets such as './app.{seat}.sock'." },
  count_requests: { type: 'flag', about: 'It is a cluster whose workers count their HTTP requests and how long those take, for metrics; that costs a little with each request.' },
  app_metrics: { type: 'flag', about: "It is a cluster, and what its own prom-client counts in all workers is at `/metrics` of the manager." },
  watchdog: { type: 'time', about: 'So often it has to say that it lives (WATCHDOG=1 of sd_notify), or it is ended by SIGABRT and started anew; 0 for never.' },
  cron: { type: 'cron', about: "A line of cron, such as '0 3 * * *': when a run of it begins. It ends by itself, and is not started before; a run that takes longer is let alone." },
  cron_restart: { type: 'cron', about: 'A line of cron: when what runs, or has run and ended by itself, is started anew. A cluster is reloaded.' },
  cron_timezone: { type: 'text', about: "The time zone of these lines, such as 'Europe/Berlin'; the machine's by default." },
  cron_when_stopped: { type: 'flag', about: 'Whether it is started by the clock though somebody has stopped it.' },
  max_memory_restart: { type: 'bytes', to: 'maxMemory', about: 'It is started anew when it uses more, with all that it has started.' },
  watch: { type: 'watched', about: 'It starts anew when a file changes: true for all of cwd, or paths and patterns. A cluster is reloaded.' },
  ignore_watch: { type: 'paths', about: "Paths and patterns (from cwd on, with all that is below them) whose changes do not count, besides the app's own logs, node_modules and names that begin with a dot." },
  watch_delay: { type: 'time', about: 'It starts anew when nothing has changed for so long; 200 ms by default.' },
  on_event: { type: 'text', about: 'A command that is run, by sh, when something has happened that somebody may have to see to; it reads the event as JSON.' },
  webhook: { type: 'webhook', about: 'Where such an event is sent: an address, or { url, secret }, which it is signed with.' },
  out_file: { aliases: ['output', 'out', 'out_log'], type: 'text', about: 'Where its output goes.' },
  error_file: { aliases: ['error', 'err', 'err_file', 'err_log'], type: 'text', about: 'Where its errors go.' },
  log_file: { aliases: ['log'], type: 'file', about: 'Where both go besides; true for logs/<name>.log of the home.' },
  disable_logs: { type: 'flag', about: 'Whether nothing that it writes is kept.' },
  merge_logs: { aliases: ['combine_logs'], type: 'flag', about: 'Instances share the log files.' },
  time: { type: 'flag', about: 'Each line of the log behind its time.' },
  log_date_format: { type: 'text', about: 'How that is written, in the signs of moment.js.' },
  log_type: { type: 'format', to: 'logFormat', about: "'json' for an object per line." },
  max_size: { type: 'bytes', about: 'A log file of so many bytes is set aside.' },
  retain: { type: 'count', about: 'So many of those are kept for each stream.' },
  max_total: { type: 'bytes', about: 'All log files of the app together use no more: the oldest that were set aside go.' },
  rotate: { type: 'period', about: "'hourly', 'daily' or 'weekly': when a log file is set aside whatever its size." },
  compress: { type: 'flag', about: 'Whether what was set aside is compressed.' },
  uid: { aliases: ['user'], type: 'user', about: 'The user that it runs as.' },
  gid: { type: 'user', about: 'The group that it runs as.' },
  sockets: { type: 'words', about: "Listening sockets that it is given and that outlive it: 'tcp:3000', 'unix:app.sock'." },
};

/** PM2's own internals: they do nothing here. */
const NOTHING = Object.freeze([
  'vizion', 'pmx', 'automation', 'trace', 'deep_monitoring', 'disable_trace', 'disable_source_map_support', 'post_update',
  'windowsHide', 'force', 'kill_retry_time', 'pid_file', 'pid', 'io', 'instance_id', 'node_version', 'tracing', 'container',
  'v8', 'event_loop_inspector', 'watch_options', 'username', 'write', 'execute_command', 'name_prefix', 'install_url',
]);

/** @param {string} name */
const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** A key by any of its names, theirs and those in camelCase. @type {Map<string, { name: string, key: Key }>} */
const BY_NAME = new Map(
  Object.entries(KEYS).flatMap(([name, key]) => [name, camelCase(name), ...(key.aliases ?? [])].map((one) => /** @type {const} */ ([one, { name, key }]))),
);

/**
 * Reads an app of a configuration file. Throws what is wrong with it, with the key's name.
 *
 * @param {any} given
 * @param {{ folder: string, notices: Set<string> }} options `folder`: the configuration file's. `notices` gets what the user should know.
 * @returns {any} The members that were given, under the manager's names, and `filterEnv`, `envFile`, `environments` and `appendEnvToName`.
 */
function readApp(given, { folder, notices }) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw bad('an object', given);
  /** @type {any} */
  const app = { environments: {} };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const known = BY_NAME.get(name);
    if (known?.key.option) (app.clusterArgs ??= []).push(known.key.option, String(read(name, known.key, value)));
    else if (known) app[known.key.to ?? camelCase(known.name)] = read(name, known.key, value);
    else if (name.startsWith('env_')) app.environments[name.slice('env_'.length)] = read(name, KEYS.env, value);
    // What is not wanted is not missed.
    else if (value === false && NOTHING.includes(name)) continue;
    else if (NOTHING.includes(name)) notices.add(`"${name}" does nothing here`);
    else throw new TypeError(`there is no key "${name}"${didYouMean(name, [...BY_NAME.keys()], (near) => `"${near}"`)}`);
  }
  if (app.script === undefined) throw new TypeError('"script" is missing');
  const isThere = (/** @type {string} */ where) => fs.existsSync(path.resolve(where, app.script));
  // PM2 takes the folder of whoever types the command: what is only there is meant like that.
  app.cwd = path.resolve(folder, app.cwd ?? (!isThere(folder) && isThere(process.cwd()) ? process.cwd() : '.'));
  app.name ??= nameOf(isCommand(app.script) && !isThere(app.cwd) ? app.script : path.resolve(app.cwd, app.script));
  settleScript(app);
  if (app.logFile === true) app.logFile = path.join(require('../home.js').home(), 'logs', `${app.name}.log`);
  else if (app.logFile === false) delete app.logFile;
  if (app.port !== undefined) app.env = { ...app.env, PORT: String(app.port) };
  delete app.port;
  // As PM2: several instances of a Node script are a cluster unless something else is said, of anything else several processes.
  app.mode ??= app.instances !== undefined && isForNode(app) ? 'cluster' : 'program';
  if (app.mode === 'cluster') app.killTimeout = patience(app);
  if (app.mode !== 'cluster' && app.clusterArgs !== undefined) {
    notices.add(`${app.clusterArgs.filter((/** @type {string} */ _, /** @type {number} */ i) => i % 2 === 0).join(', ')} of "${app.name}" does nothing: it is no cluster`);
  }
  if (app.mode === 'cluster' && app.incrementVar !== undefined) {
    notices.add('"increment_var" does nothing for a cluster: its workers listen on one port');
    delete app.incrementVar;
  }
  if (app.sourceMapSupport === true && isForNode(app)) app.interpreterArgs = [...(app.interpreterArgs ?? []), '--enable-source-maps'];
  delete app.sourceMapSupport;
  if (app.countRequests === true) {
    if (app.mode === 'cluster') app.clusterArgs = [...(app.clusterArgs ?? []), '--count-requests'];
    else notices.add('"count_requests" does nothing but for a cluster');
  }
  delete app.countRequests;
  if (app.appMetrics === true) {
    if (app.mode === 'cluster') app.clusterArgs = [...(app.clusterArgs ?? []), '--app-metrics'];
    else notices.add('"app_metrics" does nothing but for a cluster');
  }
  delete app.appMetrics;
  if (typeof app.cron === 'string') app.autorestart ??= false;
  if (app.disableLogs === true) Object.assign(app, { outFile: 'NULL', errorFile: 'NULL', logFile: undefined });
  delete app.disableLogs;
  if (app.time === true) app.logFormat ??= 'time';
  delete app.time;
  // As PM2: who says how times are written wants them.
  if (app.logDateFormat !== undefined) app.logFormat ??= 'time';
  return app;
}

/** The manager's own, in ms. */
const KILL_TIMEOUT = 1600;

/**
 * How long a cluster may take to end. What it serves on for is no part of that.
 *
 * @param {any} app
 * @returns {number | undefined}
 */
function patience({ clusterArgs = [], killTimeout }) {
  const delay = Number(clusterArgs[clusterArgs.indexOf('--stop-delay') + 1]);
  return clusterArgs.includes('--stop-delay') ? (killTimeout ?? KILL_TIMEOUT) + delay : killTimeout;
}

/** Scripts of Node by their names. */
const OF_NODE = /\.[cm]?[jt]s$/;
/** Those of other interpreters. */
const OF_OTHERS = /\.(py|sh|rb|pl|php|lua)$/;

/** @param {{ script: string, cwd: string, interpreter?: string }} app */
function isForNode({ script, cwd, interpreter }) {
  if (interpreter !== undefined) return /^node(js)?$/.test(path.basename(interpreter));
  if (OF_NODE.test(script)) return true;
  const file = path.resolve(cwd, script);
  if (OF_OTHERS.test(script) || !fs.existsSync(file) || !fs.statSync(file).isFile()) return false;
  // A text that does not say what runs it, as the keeper has it.
  return /^(?!#!)[\t-\r -~\u0080-\u00ff]*$/.test(beginning(file));
}

/** The first bytes of a file; of one that may be executed and not read, what no text has. @param {string} file */
function beginning(file) {
  const bytes = Buffer.alloc(64);
  try {
    const fd = fs.openSync(file, 'r');
    const count = fs.readSync(fd, bytes, 0, bytes.length, 0);
    fs.closeSync(fd);
    return bytes.toString('latin1', 0, count);
  } catch {
    return '\0';
  }
}

/**
 * @param {string} name
 * @param {Key} key
 * @param {unknown} value
 */
function read(name, key, value) {
  try {
    return READ[key.type](value);
  } catch (error) {
    throw new TypeError(`"${name}" ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

/**
 * The value of a key that was typed as an option.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {string} [option] What it is called in the error.
 * @returns {any}
 */
function readKey(name, value, option = name) {
  const known = /** @type {{ key: Key }} */ (BY_NAME.get(name));
  try {
    return READ[known.key.type](value);
  } catch (error) {
    throw new TypeError(`${option} ${/** @type {Error} */ (error).message}`, { cause: error });
  }
}

module.exports = { KEYS, NOTHING, readKey, readApp };
