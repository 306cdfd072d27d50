'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Keeps the list of apps for resurrect.',
  usage: '',
  async run(manager) {
    const { apps } = await manager.request('POST', '/v1/save');
    process.stdout.write(`saved ${apps} ${apps === 1 ? 'app' : 'apps'}\n`);
  },
};
