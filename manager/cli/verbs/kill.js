'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Stops all apps and ends the daemon.',
  usage: '',
  needsDaemon: false,
  async run(manager) {
    if (await manager.isRunning()) await manager.kill();
  },
};
