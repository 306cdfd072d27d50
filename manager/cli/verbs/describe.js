'use strict';

const { usage } = require('../main.js');
const { table } = require('../table.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows all that is known of an app, but for its environment.',
  usage: '<name | id | namespace> [--json]',
  flags: (command) => void command.option('--json', 'as JSON'),
  async run(manager, [target], { json }) {
    if (!target) throw usage('describe: which app? Give a name or a number');
    const apps = await manager.describe(target);
    const status = await manager.list();
    for (const app of apps) {
      const { processes } = /** @type {any} */ (status.find(({ name, namespace }) => name === app.name && namespace === app.namespace) ?? { processes: [] });
      if (json) process.stdout.write(`${JSON.stringify({ ...app, processes })}\n`);
      else process.stdout.write(`${table(['what', 'value'], rows(app, processes))}\n`);
    }
  },
};

/**
 * @param {object} app
 * @param {object[]} processes
 */
function rows(app, processes) {
  const text = (/** @type {unknown} */ value) => (typeof value === 'string' ? value : JSON.stringify(value));
  return [...Object.entries(app), ...processes.map((one, index) => [`process ${index}`, one])].map(([name, value]) => [String(name), text(value)]);
}
