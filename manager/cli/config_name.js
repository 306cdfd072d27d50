'use strict';

// Which words name a configuration file. Small: every verb that takes an app asks.

const fs = require('node:fs');
const path = require('node:path');

/** What a configuration file may be called. */
const NAMED = /(?:^|[/.])(?:config|ecosystem)\.[cm]?[jt]s$|\.(?:json5?|ya?ml)$/;

/**
 * The file that a word names, if it is a configuration: `-` is standard input.
 *
 * @param {string} word
 */
function configFile(word) {
  if (word === '-') return word;
  if (!NAMED.test(word)) return undefined;
  if (!fs.existsSync(word)) return undefined;
  return path.resolve(word);
}

module.exports = { NAMED, configFile };
