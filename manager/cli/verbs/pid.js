'use strict';

const { print, printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Prints the process ids of an app, a line each; of all apps when none is named. That of the daemon: rcluster ping.',
  usage: '[name | id] [--json]',
  flags: [['--json', 'as JSON']],
  async run(manager, [name], { json }) {
    const all = pids(await manager.list(), name);
    if (json) printJson(all);
    else for (const pid of all) print(String(pid));
  },
};

/**
 * Those that do the work: of a cluster its workers. 0 for what does not run, as with PM2.
 *
 * @param {import('../../client').AppStatus[]} apps
 * @param {string} [name] A name, or a number of a listing; all without.
 */
function pids(apps, name) {
  const one = (/** @type {{ pid: number | null }} */ { pid }) => pid ?? 0;
  const named = apps.filter((app) => name === undefined || app.name === name);
  if (named.length > 0) return named.flatMap(({ mode, processes, workers }) => (mode === 'cluster' && workers.length > 0 ? workers : processes).map(one));
  return apps.flatMap(({ mode, ids, processes, workers }) => {
    const at = ids.findIndex((id) => String(id) === name);
    return at < 0 ? [] : [one((mode === 'cluster' ? workers[at] : processes[at]) ?? { pid: null })];
  });
}
