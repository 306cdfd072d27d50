'use strict';

// All verbs, by every name that they have. Small: it is loaded by `rcluster server.js` as well.

/** @type {Record<string, string[]>} */
const NAMES = {
  start: ['start'], stop: ['stop'], restart: ['restart'], reload: ['reload', 'gracefulReload'], upgrade: ['upgrade'], scale: ['scale'], delete: ['delete', 'del'],
  startOrRestart: ['startOrRestart'], startOrReload: ['startOrReload', 'startOrGracefulReload'], apply: ['apply'], run: ['run'],
  list: ['list', 'ls', 'l', 'ps', 'status'], jlist: ['jlist'], prettylist: ['prettylist'], describe: ['describe', 'desc', 'show', 'info'], env: ['env'], id: ['id'], pid: ['pid'],
  monit: ['monit', 'dash', 'top', 'dashboard', 'imonit'], web: ['web'],
  logs: ['logs', 'log'], events: ['events'], flush: ['flush'], reloadLogs: ['reloadLogs'],
  health: ['health'], reset: ['reset'], sendSignal: ['sendSignal'], send: ['send'], attach: ['attach'],
  save: ['save', 'dump'], cleardump: ['cleardump'], resurrect: ['resurrect'], startup: ['startup'], unstartup: ['unstartup'],
  update: ['update', 'updatePM2'], kill: ['kill'], ping: ['ping'], init: ['init', 'ecosystem'], completion: ['completion'], help: ['help'],
};

/** By every name. @type {Record<string, string>} */
const VERBS = Object.fromEntries(Object.entries(NAMES).flatMap(([file, names]) => names.map((name) => [name, file])));

/** PM2's verbs that are not there, and what to use instead. @type {Record<string, string>} */
const INSTEAD = {
  ...all(['plus', 'register', 'link', 'unlink', 'monitor', 'unmonitor', 'open', 'login', 'logout'], 'there is no service to link to: rcluster web opens a page of your own, and the events of the API are for any monitoring'),
  ...all(['install', 'uninstall', 'module:install', 'module:update', 'module:uninstall', 'module:generate', 'module:publish', 'publish', 'package'], 'there are no modules: logs are rotated by the manager itself (max_size, retain), and a program that watches others is started like any other'),
  ...all(['set', 'multiset', 'get', 'unset', 'conf', 'config'], 'there are no settings: what an app is to be like is said in its configuration file (docs/config.md)'),
  ...all(['deploy', 'pull', 'forward', 'backward'], 'nothing is deployed: bring the files there by other means, then rcluster reload'),
  trigger: 'there are no actions: rcluster send gives a program a message',
  ...all(['profile:cpu', 'profile:mem', 'inspect'], 'nothing is profiled: start the program with --node-args=--cpu-prof, --heap-prof or --inspect'),
  ...all(['serve', 'expose'], 'no files are served: start a server for them, such as npx serve, like any other program'),
  ...all(['logrotate'], 'logs are rotated by the manager itself: max_size and retain of docs/config.md'),
  ...all(['report', 'slist', 'sysinfos'], 'there is no report: rcluster describe <app> --json has all that is known'),
  ...all(['install-otel', 'uninstall-otel', 'deepUpdate', 'autoinstall', 'examples', 'create'], 'there is no such thing here: rcluster help lists the verbs'),
};

/** @param {string[]} names @param {string} text */
function all(names, text) {
  return Object.fromEntries(names.map((name) => [name, text]));
}

/** Options that PM2 takes before a verb as well. */
const BEFORE = Object.freeze(['-s', '--silent', '--no-color', '-m', '--mini-list']);

/**
 * The verb and what belongs to it; `undefined` where a script is meant.
 *
 * @param {string[]} argv
 * @returns {string[] | undefined}
 */
function verbIn(argv) {
  const at = argv.findIndex((word) => !BEFORE.includes(word));
  const word = argv[at];
  if (word === undefined || (!Object.hasOwn(VERBS, word) && !Object.hasOwn(INSTEAD, word))) return undefined;
  return [word, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

module.exports = { INSTEAD, NAMES, VERBS, verbIn };
