'use strict';

const { setTimeout: sleep } = require('node:timers/promises');

/** The body of a response that begins at once and takes a while. */
module.exports = async function* slowly() {
  yield '{"pid":';
  await sleep(300);
  yield `${process.pid}}`;
};
