'use strict';

const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Gives a program a message: a Node program by its message channel, JSON or a text; any other a line on its standard input.',
  usage: '<name | id> <message>',
  flags: [['--stdin', 'a line on standard input, for a Node program as well']],
  async run(manager, [target, ...words], { stdin }, rest = []) {
    const text = [...words, ...rest].join(' ');
    if (!target || text === '') throw usage('send: give an app and a message');
    if (stdin) return void (await manager.write(target, `${text}\n`));
    try {
      await manager.send(target, parse(text));
    } catch (error) {
      if (/** @type {any} */ (error).code !== 'ERR_RCLUSTER_NO_CHANNEL') throw error;
      await manager.write(target, `${text}\n`);
    }
    return undefined;
  },
};

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
