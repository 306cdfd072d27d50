'use strict';

const fs = require('node:fs');

const { executable } = require('../../home.js');
const { print, printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Replaces the daemon by the one of this package; no program notices.',
  usage: '[--json]',
  flags: [['--json', 'the result as JSON']],
  async run(manager, words, { json }) {
    if (!fs.existsSync(executable())) await require('../../../scripts/build-manager.js').buildManager();
    const { version, pid } = await manager.update();
    if (json) printJson({ version, pid });
    else print(`the daemon is version ${version} now (process ${pid})`);
  },
};
