'use strict';

const path = require('node:path');
const { parseArgs } = require('node:util');

/**
 * @typedef {object} Options
 * @property {string[]} parts
 * @property {number} rounds
 * @property {boolean} quick
 * @property {string[]} rivals  none: all
 * @property {string} out
 * @property {string} [before] Another checkout of rcluster, to be measured as well.
 * @property {boolean} help
 */

/**
 * @param {string[]} args
 * @param {string[]} known  the names of all parts
 * @returns {Options}
 * @throws {Error} with a sentence for the user
 */
function parseOptions(args, known) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rivals: { type: 'string', default: '' },
      out: { type: 'string' },
      before: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((part) => !known.includes(part));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}; the parts are ${known.join(', ')}`);
  const quick = values.quick;
  const rounds = Number(values.rounds ?? (quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new Error(`--rounds got ${values.rounds}, which is not a number from 1 to 100`);
  }
  return {
    parts: positionals.length > 0 ? positionals : known,
    rounds,
    quick,
    rivals: values.rivals.split(',').map((id) => id.trim()).filter(Boolean),
    out: values.out ?? path.join(__dirname, '../results', quick ? 'quick' : '.'),
    before: values.before && path.resolve(values.before),
    help: values.help,
  };
}

module.exports = { parseOptions };
