'use strict';

const { print } = require('../say.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Stops all apps, forgets them, and ends the daemon.',
  usage: '',
  needsDaemon: false,
  async run(manager, words) {
    if (words.length > 0) throw usage(`kill ends the daemon and all apps, and takes none: rcluster stop ${words[0]}, or rcluster delete ${words[0]}`);
    if (!(await manager.isRunning())) return print('no daemon runs');
    await manager.kill();
    return print('all apps are stopped, the daemon has ended');
  },
};
