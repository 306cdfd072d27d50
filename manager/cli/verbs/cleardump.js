'use strict';

const { print } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Forgets the list that save has kept.',
  usage: '',
  async run(manager) {
    await manager.clearDump();
    print('nothing is kept any more');
  },
};
