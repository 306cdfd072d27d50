'use strict';

const { inspect } = require('node:util');

const { asPm2 } = require('../pm2_shape.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: "Lists all processes in PM2's shape, for people.",
  usage: '',
  async run(manager) {
    process.stdout.write(`${inspect(await asPm2(manager), { depth: null, colors: process.stdout.isTTY })}\n`);
  },
};
