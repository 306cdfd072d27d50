'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Prints the process ids of an app, a line each; of the daemon when none is named.',
  usage: '[name]',
  async run(manager, [name]) {
    const all = name === undefined
      ? [(await manager.ping()).pid]
      : (await manager.list()).filter((app) => app.name === name).flatMap(({ processes }) => processes.map(({ pid }) => pid ?? 0));
    process.stdout.write(all.map((pid) => `${pid}\n`).join(''));
  },
};
