'use strict';

const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');

const { copy } = require('../log_stream.js');
const { notice } = require('../say.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows what a program writes, and gives it the lines that are typed. Control-C, or the end of the input, ends that; the program goes on.',
  usage: '<name | id>',
  takesTime: true,
  async run(manager, [target, ...others]) {
    if (!target) throw usage('attach: to which app? Give a name or a number');
    if (others.length > 0) throw usage(`attach: one app at a time. Received ${[target, ...others].join(' ')}`);
    const ended = new AbortController();
    const { ended: shown } = await copy(manager, target, { lines: 0, follow: true, signal: ended.signal });
    if (process.stdin.isTTY) notice(`attached to ${target}: Control-C ends that, and the program goes on`);
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
