'use strict';

const { usage } = require('../main.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Sends a signal to the processes of apps.',
  usage: '<signal> <name | id | namespace | all>',
  async run(manager, [signal, target]) {
    if (!signal || !target) throw usage('sendSignal: give a signal such as SIGUSR2, and an app');
    await manager.act(target, 'signal', { signal });
  },
};
