'use strict';

const { forEach } = require('../targets.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Sends a signal to the processes of apps.',
  usage: '<signal> <name | id | namespace | /pattern/ | all> ...',
  async run(manager, [signal, ...targets], options) {
    if (!signal || targets.length === 0) throw usage('sendSignal: give a signal such as SIGUSR2, and an app');
    await forEach(manager, targets, options, (target) => manager.signal(target, signal));
  },
};
