'use strict';

const { usage } = require('../main.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Stops apps and forgets them. Their logs stay.',
  usage: '<name | id | namespace | all> ...',
  async run(manager, targets) {
    if (targets.length === 0) throw usage('delete: which app? Give a name, a number, a namespace, or all');
    for (const target of targets) await manager.delete(target);
  },
};
