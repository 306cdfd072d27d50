'use strict';

const { show } = require('../act.js');
const { keysFromOptions } = require('../app.js');
const { appWith } = require('../change.js');
const { configFile } = require('../config_name.js');
const { environment } = require('../env.js');
const { START_FLAGS } = require('../flags.js');
const { print, printJson } = require('../say.js');
const { appsFrom, bringAbout } = require('../start_apps.js');
const { TARGETS, forEach, needFiles, needTargets } = require('../targets.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Replaces the workers of clusters without losing a connection; starts the instances of programs anew, one after the other.',
  usage: TARGETS,
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    needTargets('reload', words);
    const files = words.filter((word) => configFile(word));
    // As PM2: with what the file says now.
    if (files.length > 0) await bringAbout(manager, await appsFrom('reload', files, options), options, 'reload');
    const targets = words.filter((word) => !files.includes(word));
    if (targets.length === 0) return;
    needFiles(options);
    const env = options.updateEnv ? environment(process.env) : undefined;
    const keys = keysFromOptions(options);
    if ((keys.name ?? keys.namespace) !== undefined) throw usage('reload: --name and --namespace are for restart');
    if (Object.keys(keys).length > 0 || rest !== undefined) {
      const change = async (/** @type {string} */ target) => manager.start(await appWith(manager, target, keys, rest, env), { known: 'reload', updateEnv: true });
      show(await forEach(manager, targets, options, change), options);
      return;
    }
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
