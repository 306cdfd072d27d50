'use strict';

const { asPm2 } = require('../pm2_shape.js');
const { printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: "Lists all processes as JSON in PM2's shape.",
  usage: '',
  flags: [['--json', 'the same']],
  async run(manager) {
    printJson(await asPm2(manager));
  },
};
