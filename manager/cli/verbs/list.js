'use strict';

const { manner, notice, output, print, printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Lists all apps and what their processes are doing.',
  usage: '[--json]',
  flags: [['--json', 'as JSON'], ['--sort <field>', "PM2's: does nothing here"]],
  async run(manager, words, { json }) {
    const asked = manager.list();
    // It has been sent by then: what shows the answer is made ready while the daemon looks at all processes.
    setImmediate(() => void [output(), require('../table.js')]);
    const apps = await asked;
    if (json) printJson(apps);
    else for (const { name, watching } of apps) if (watching?.problem) notice(`${name}: ${watching.problem}`);
    if (json) return;
    if (!manner.mini) print(require('../table.js').processes(apps));
    else for (const { name, processes: all } of apps) for (const { id, state } of all) print(`${id} ${name} ${state}`);
  },
};
