'use strict';

const { print, printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the daemon if it does not run, and says that it does.',
  usage: '[--json]',
  flags: [['--json', 'as JSON']],
  async run(manager, words, { json }) {
    const { pid, version } = await manager.ping();
    if (json) printJson({ pid, version, home: manager.home });
    else print(`pong (daemon ${pid}, ${manager.home})`);
  },
};
