'use strict';

const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

const { copy } = require('../log_stream.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows what a program writes, and gives it the lines that are typed. Control-C, or the end of the input, ends that; the program goes on.',
  usage: '<name | id>',
  takesTime: true,
  async run(manager, [target]) {
    if (!target) throw usage('attach: to which app? Give a name or a number');
    const ended = new AbortController();
    const { ended: shown } = await copy(manager, target, { lines: 0, follow: true, signal: ended.signal });
    try {
      for await (const line of createInterface({ input: process.stdin })) await manager.write(target, `${line}\n`);
      // What it answers to the last line is still to be seen.
      await sleep(LAST_WORDS);
    } finally {
      ended.abort();
      await shown;
    }
  },
};

/** How long (ms) a program has for its answer when the input has ended. */
const LAST_WORDS = 500;
