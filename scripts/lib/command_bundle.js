'use strict';

// What the command loads: `bundle/command.js` has what a verb that reads needs, `command_later.js` all other modules of `manager/`.

const fs = require('node:fs');
const path = require('node:path');

const { ROOT } = require('../../lib/bundle.js');
const { linker, withoutComments } = require('./bundling.js');

const MANAGER = path.join(ROOT, 'manager');
/** Loaded by itself, as by what runs a script in the foreground. */
const VERBS = 'cli/verbs.js';
/** A program of its own. */
const WEBHOOK = 'webhook.js';
/** What `list`, `jlist`, `describe` and `logs` load. */
const FIRST = [
  'cli/main.js', 'cli/say.js', 'cli/words.js', 'client.js', 'ask.js', 'home.js', 'cli/table.js', 'cli/targets.js', 'cli/config_name.js', 'cli/pm2_shape.js',
  'cli/verbs/list.js', 'cli/verbs/jlist.js', 'cli/verbs/describe.js', 'cli/verbs/logs.js', 'cli/log_stream.js', 'cli/log_lines.js', 'log_reader.js',
];
/** How a module of ours is required: by its name, or by that of a verb. */
const REQUIRE = /\brequire\((['`])(\.{1,2}\/[^'`]+)\1\)/g;

/** @returns {string[]} Paths below `manager/`. */
function modules() {
  const all = fs.readdirSync(MANAGER, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => name.endsWith('.js') && !/^(?:src|web)\//.test(name) && name !== WEBHOOK).sort();
}

/** @param {string} name */
function codeOf(name) {
  const text = fs.readFileSync(path.join(MANAGER, name), 'utf8');
  const linked = text.replaceAll(REQUIRE, (_all, quote, id) => {
    const file = path.posix.join('manager', path.posix.dirname(name), id);
    const ours = path.posix.relative('manager', file);
    const isOurs = !ours.startsWith('../') && ours !== VERBS;
    return isOurs ? `requireOurs(${quote}${ours}${quote})` : `require(${quote}../${file}${quote})`;
  });
  // With what is not ASCII, V8 would read two bytes for every character.
  // eslint-disable-next-line no-control-regex -- the last of ASCII's
  return withoutComments(linked).replaceAll(/[^\x00-\x7f]/g, (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** @param {string} name */
const part = (name) => `\n// manager/${name}\nmakers['${name}'] = function (module, exports) {\n${codeOf(name)}\n};\n`;

/** @returns {{ files: Record<string, string>, sources: string[] }} */
function link() {
  const all = modules();
  const head = "'use strict';\n\n// Made of manager/ by scripts/bundle.js: edit there.\n\n";
  const later = all.filter((name) => !FIRST.includes(name) && name !== VERBS);
  return {
    files: {
      'command.js': `${head}${linker("require('./command_later.js')")}${FIRST.map(part).join('')}\nmodule.exports = { requireOurs };\n`,
      'command_later.js': `${head}module.exports = (makers, requireOurs) => {\n${later.map(part).join('')}\n};\n`,
    },
    sources: all.map((name) => `manager/${name}`),
  };
}

module.exports = { link };
