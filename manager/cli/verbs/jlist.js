'use strict';

const { asPm2 } = require('../pm2_shape.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: "Lists all processes as JSON in PM2's shape.",
  usage: '',
  async run(manager) {
    process.stdout.write(`${JSON.stringify(await asPm2(manager))}\n`);
  },
};
