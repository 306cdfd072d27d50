'use strict';

const { inspect } = require('node:util');

const { print, printJson } = require('../say.js');
const { needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Prints the numbers of the processes of an app.',
  usage: '<name> [--json]',
  flags: [['--json', 'as JSON']],
  async run(manager, words, { json }) {
    needTargets('id', words);
    const all = (await manager.list()).filter(({ name }) => name === words[0]).flatMap(({ ids }) => ids);
    if (json) printJson(all);
    else print(inspect(all));
  },
};
