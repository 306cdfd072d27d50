'use strict';

const { write } = require('../say.js');
const { NAMES, VERBS } = require('../verbs.js');
const { help } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Lists the verbs, or says more of one.',
  usage: '[verb]',
  needsDaemon: false,
  run(manager, [word]) {
    if (word !== undefined && Object.hasOwn(VERBS, word)) return void write(help(word, require(`./${VERBS[word]}.js`)));
    const rows = Object.entries(NAMES).map(([file, names]) => [names.join(', '), require(`./${file}.js`).summary]);
    const width = Math.max(...rows.map(([names]) => names.length));
    write('Usage: rcluster <verb> ...   the process manager\n       rcluster <script>     runs a server over all cores in the foreground: rcluster --help\n\n');
    write(`${rows.map(([names, summary]) => `  ${names.padEnd(width)}  ${summary}`).join('\n')}\n\nrcluster <verb> --help lists the options of a verb.\n`);
    return undefined;
  },
};
