'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Prints the numbers of the processes of an app.',
  usage: '<name>',
  async run(manager, [name]) {
    const all = (await manager.list()).filter((app) => app.name === name).flatMap(({ processes }) => processes.map(({ id }) => id));
    process.stdout.write(`${JSON.stringify(all)}\n`);
  },
};
