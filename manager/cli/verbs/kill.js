'use strict';

const { print } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Stops all apps, forgets them, and ends the daemon.',
  usage: '',
  needsDaemon: false,
  async run(manager) {
    if (!(await manager.isRunning())) return print('no daemon runs');
    await manager.kill();
    return print('all apps are stopped, the daemon has ended');
  },
};
