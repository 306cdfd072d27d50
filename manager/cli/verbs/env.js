'use strict';

const { print, printJson } = require('../say.js');
const { needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows the environment of an app, with all secrets that are in it.',
  usage: '<name | id> [--json]',
  flags: [['--json', 'as JSON']],
  async run(manager, words, { json }) {
    needTargets('env', words);
    const env = await manager.env(words[0]);
    if (json) printJson(env);
    else for (const [name, value] of Object.entries(env)) print(`${name}: ${value}`);
  },
};
