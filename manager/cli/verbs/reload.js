'use strict';

const { configFile } = require('../config.js');
const { environment } = require('../env.js');
const { START_FLAGS } = require('../flags.js');
const { print, printJson } = require('../say.js');
const { appsFrom, bringAbout } = require('../start_apps.js');
const { TARGETS, forEach, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Replaces the workers of clusters without losing a connection; starts the instances of programs anew, one after the other.',
  usage: TARGETS,
  flags: START_FLAGS,
  async run(manager, words, options) {
    needTargets('reload', words);
    const files = words.filter((word) => configFile(word));
    // As PM2: with what the file says now.
    if (files.length > 0) await bringAbout(manager, await appsFrom('reload', files, options), options, 'reload');
    const targets = words.filter((word) => !files.includes(word));
    if (targets.length === 0) return;
    const env = options.updateEnv ? environment(process.env) : undefined;
    const reports = await forEach(manager, targets, options, (target) => manager.reload(target, { env }));
    if (options.json) printJson(reports);
    else for (const report of reports) print(inWords(report));
  },
};

/** @param {any} report */
function inWords({ name, kind, report }) {
  if (kind === 'restart') return `${name}: it did not run, and was started`;
  if (kind !== 'zero-loss') return `${name}: its instances were started anew, one after the other`;
  const sum = (/** @type {string} */ key) => report.workers.reduce((/** @type {number} */ all, /** @type {any} */ one) => all + one[key], 0);
  return `${name}: ${report.workers.length} workers replaced in ${report.time} ms; connections moved: ${sum('moved')}, finished: ${sum('finished')}, cut: ${sum('cut')}`;
}
