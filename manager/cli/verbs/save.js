'use strict';

const { print } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Keeps the list of apps for resurrect.',
  usage: '',
  flags: [['-f, --force', "PM2's: does nothing here"]],
  async run(manager) {
    const { apps } = await manager.save();
    print(`saved ${apps} ${apps === 1 ? 'app' : 'apps'}`);
  },
};
