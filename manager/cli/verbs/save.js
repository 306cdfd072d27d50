'use strict';

const { print } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Keeps the list of apps for resurrect.',
  usage: '',
  flags: [['-f, --force', 'an empty list as well']],
  async run(manager, _words, { force }) {
    // As PM2: what a machine starts with is not lost by a slip.
    if (!force && (await manager.list()).length === 0) return print('there are no apps, and what was saved before stays; with --force an empty list is saved');
    const { apps } = await manager.save();
    return print(`saved ${apps} ${apps === 1 ? 'app' : 'apps'}`);
  },
};
