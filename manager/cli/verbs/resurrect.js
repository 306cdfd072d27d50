'use strict';

const { show } = require('../act.js');
const { notice } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the apps that save has kept.',
  usage: '',
  flags: [['--json', 'the result as JSON']],
  async run(manager, words, options) {
    const apps = await manager.resurrect();
    if (apps.length === 0) notice('there is nothing that save has kept and that is not there already');
    show(apps, options);
  },
};
