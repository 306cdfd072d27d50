'use strict';

const { START_FLAGS } = require('../flags.js');
const { appsFrom, bringAbout } = require('../start_apps.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the apps of a configuration file, and starts those anew that run.',
  usage: '[config file | -]',
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    await bringAbout(manager, await appsFrom('startOrRestart', words, options, rest), options, 'restart');
  },
};
