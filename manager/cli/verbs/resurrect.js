'use strict';

const { show } = require('../act.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the apps that save has kept.',
  usage: '',
  flags: [['--json', 'the result as JSON']],
  async run(manager, words, options) {
    show(await manager.resurrect(), options);
  },
};
