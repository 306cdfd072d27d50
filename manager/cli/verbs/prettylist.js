'use strict';

const { inspect } = require('node:util');

const { asPm2 } = require('../pm2_shape.js');
const { manner, print, printJson } = require('../say.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: "Lists all processes in PM2's shape, for people.",
  usage: '',
  flags: [['--json', 'as jlist']],
  async run(manager, words, { json }) {
    const all = await asPm2(manager);
    if (json) printJson(all);
    else print(inspect(all, { depth: null, colors: manner.colors }));
  },
};
