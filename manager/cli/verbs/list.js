'use strict';

const { show } = require('../act.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Lists all apps and what their processes are doing.',
  usage: '[--json]',
  flags: (command) => void command.option('--json', 'as JSON'),
  async run(manager, words, options) {
    show(await manager.list(), options);
    // What is listed is no failure of listing it.
    process.exitCode = 0;
  },
};
