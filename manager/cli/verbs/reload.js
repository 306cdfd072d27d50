'use strict';

const { usage } = require('../main.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Replaces the workers of clusters without losing a connection; starts the instances of programs anew, one after the other.',
  usage: '<name | id | namespace | all> ...',
  flags: (command) => void command.option('--json', 'the result as JSON'),
  async run(manager, targets, { json }) {
    if (targets.length === 0) throw usage('reload: which app? Give a name, a number, a namespace, or all');
    for (const target of targets) {
      const reports = await manager.request('POST', `/v1/apps/${encodeURIComponent(target)}/reload`, {});
      if (json) process.stdout.write(`${JSON.stringify(reports)}\n`);
      else for (const report of reports) process.stdout.write(`${inWords(report)}\n`);
    }
  },
};

/** @param {any} report */
function inWords({ name, kind, report }) {
  if (kind !== 'zero-loss') return `${name}: its instances were started anew, one after the other`;
  const sum = (/** @type {string} */ key) => report.workers.reduce((/** @type {number} */ all, /** @type {any} */ one) => all + one[key], 0);
  return `${name}: ${report.workers.length} workers replaced in ${report.time} ms; connections moved: ${sum('moved')}, finished: ${sum('finished')}, cut: ${sum('cut')}`;
}
