'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts the daemon if it does not run, and says that it does.',
  usage: '',
  async run(manager) {
    const { pid } = await manager.ping();
    process.stdout.write(`pong (daemon ${pid}, ${manager.home})\n`);
  },
};
