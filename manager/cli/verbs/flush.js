'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Empties log files.',
  usage: '[name | id | namespace | all]',
  async run(manager, [target = 'all']) {
    await manager.act(target, 'flush');
  },
};
