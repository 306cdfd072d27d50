'use strict';

const { START_FLAGS } = require('../flags.js');
const { appsFrom, bringAbout } = require('../start_apps.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Brings the apps of a configuration file to what it says; only what has changed starts anew.',
  usage: '[config file | -] [--dry-run]',
  flags: [
    ['--dry-run', 'shows what would change, and changes nothing'],
    ['--prune', 'apps that the file does not name are stopped and forgotten'],
    ...START_FLAGS.filter(([spec]) => !/--(?:name|attach|no-daemon)\b/.test(spec)),
  ],
  async run(manager, words, options) {
    await bringAbout(manager, await appsFrom('apply', words, options), options, 'apply');
  },
};
