'use strict';

const { manner, print, printJson } = require('../say.js');
const { processes } = require('../table.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Lists all apps and what their processes are doing.',
  usage: '[--json]',
  flags: [['--json', 'as JSON'], ['--sort <field>', "PM2's: does nothing here"]],
  async run(manager, words, { json }) {
    const apps = await manager.list();
    if (json) printJson(apps);
    else if (!manner.mini) print(processes(apps));
    else for (const { name, processes: all } of apps) for (const { id, state } of all) print(`${id} ${name} ${state}`);
  },
};
