'use strict';

const { print, printJson } = require('../say.js');
const { table } = require('../table.js');
const { forEach, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows all that is known of an app, but for its environment.',
  usage: '<name | id | namespace> [--json]',
  flags: [['--json', 'a list, as JSON']],
  async run(manager, words, options) {
    needTargets('describe', words);
    const apps = await forEach(manager, words, options, (target) => manager.describe(target));
    const list = await manager.list();
    const described = apps.map((app) => {
      const { processes = [], workers = [], keeper = null, watching = null } = list.find(({ name, namespace }) => name === app.name && namespace === app.namespace) ?? {};
      return { ...app, keeper, watching, processes, workers };
    });
    if (options.json) printJson(described);
    else for (const app of described) print(table(['what', 'value'], rows(app)));
  },
};

/** @param {any} app */
function rows({ processes, workers, ...app }) {
  const text = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : JSON.stringify(value));
  const all = [...Object.entries(app), ...processes.map((/** @type {any} */ one) => [`process ${one.instance}`, one]), ...workers.map((/** @type {any} */ one) => [`worker ${one.seat}`, one])];
  return all.map(([name, value]) => [String(name), text(value)]);
}
