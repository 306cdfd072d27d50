'use strict';

const { START_FLAGS } = require('../flags.js');
const { appsFrom, bringAbout } = require('../start_apps.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the apps of a configuration file, and reloads those that run.',
  usage: '[config file | -]',
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    await bringAbout(manager, await appsFrom('startOrReload', words, options, rest), options, 'reload');
  },
};
