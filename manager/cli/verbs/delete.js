'use strict';

const { CONFIG_FLAGS } = require('../flags.js');
const { printJson } = require('../say.js');
const { TARGETS, forEach, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Stops apps and forgets them. Their logs stay.',
  usage: TARGETS,
  flags: [...CONFIG_FLAGS, ['--json', 'the result as JSON']],
  async run(manager, words, options) {
    needTargets('delete', words);
    await forEach(manager, words, options, (target) => manager.delete(target));
    if (options.json) printJson(await manager.list());
  },
};
