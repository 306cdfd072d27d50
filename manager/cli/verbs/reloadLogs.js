'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Opens log files anew, after something else has moved them away.',
  usage: '[name | id | namespace | all]',
  async run(manager, [target = 'all']) {
    await manager.act(target, 'reopen');
  },
};
