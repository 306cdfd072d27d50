'use strict';

const { environment } = require('../env.js');
const { CONFIG_FLAGS, ENV_FLAGS } = require('../flags.js');
const { print, printJson } = require('../say.js');
const { TARGETS, forEach, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Replaces the primaries of clusters by new ones, with their workers, without losing a connection: for another Node, or another rcluster.',
  usage: TARGETS,
  flags: [...CONFIG_FLAGS, ...ENV_FLAGS, ['--json', 'the result as JSON']],
  async run(manager, words, options) {
    needTargets('upgrade', words);
    const env = options.updateEnv ? environment(process.env) : undefined;
    const reports = await forEach(manager, words, options, (target) => manager.upgrade(target, { env }));
    if (options.json) printJson(reports);
    else for (const report of reports) print(inWords(report));
  },
};

/** @param {any} report */
function inWords({ name, kind, report }) {
  if (kind === 'restart') return `${name}: it did not run, and was started`;
  const { oldPid, newPid, version, node, time, moved, finished, cut } = report;
  return `${name}: ${newPid} has followed ${oldPid}, with rcluster ${version} and Node ${node}, in ${time} ms; connections moved: ${moved}, finished: ${finished}, cut: ${cut}`;
}
