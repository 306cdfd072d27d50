'use strict';

const { usage } = require('../main.js');
const { show } = require('../log_stream.js');
const { printer } = require('../log_lines.js');

/** As PM2. */
const LINES = 15;

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows the last lines of logs, merged by time, and goes on with what comes until Ctrl-C.',
  usage: '[name | id | namespace | all ...] [options]',
  takesTime: true,
  flags: [
    ['--lines <count>', `so many of the last lines, all apps together; ${LINES} by default, all of them with --since`],
    ['-f, --follow', 'go on with what comes; the default'],
    ['--nostream', 'end after the lines that are there'],
    ['--since <time>', 'lines of the last 10m, 2h or 1d, or since a date'],
    ['--grep <pattern>', 'lines that match a regular expression'],
    ['--err', 'errors alone'],
    ['--out', 'standard output alone'],
    ['--raw', 'the lines alone, without the names of apps'],
    ['--timestamp [format]', 'the time before each line; as YYYY-MM-DDTHH:mm:ss or in the signs of moment.js'],
    ['--highlight <text>', 'mark a text in the lines'],
    ['--format', 'lines such as timestamp=… app=… id=… type=out message=…'],
    ['--json', 'an object per line'],
  ],
  async run(manager, targets, options) {
    const query = { ...read(options), follow: options.follow === true || !options.nostream };
    const words = targets.length > 0 ? targets : ['all'];
    const print = printer(options);
    await show(manager, words, query, print);
  },
};

/**
 * What the daemon is asked for.
 *
 * @param {any} options
 */
function read({ lines, since, grep, err, out }) {
  if (lines !== undefined && !/^\d+$/.test(lines)) throw usage(`--lines must be a whole number, 0 or more. Received '${lines}'`);
  if (err && out) return read({ lines, since, grep });
  return {
    lines: lines ?? (since === undefined ? String(LINES) : undefined),
    since,
    grep,
    stream: /** @type {'out' | 'error' | undefined} */ (err ? 'error' : out ? 'out' : undefined),
  };
}
