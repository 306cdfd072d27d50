'use strict';

const { usage } = require('../main.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows the environment of an app, with all secrets that are in it.',
  usage: '<name | id>',
  async run(manager, [target]) {
    if (!target) throw usage('env: of which app? Give a name or a number');
    const [app] = await manager.request('GET', `/v1/apps/${encodeURIComponent(target)}/env`);
    for (const [name, value] of Object.entries(app.env)) process.stdout.write(`${name}: ${value}\n`);
  },
};
