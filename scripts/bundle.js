'use strict';

// Makes few files of the many that a process loads, in `bundle/`, or does nothing when they are made of the sources as they are.
//   node scripts/bundle.js
//
// `worker.js` has what every worker needs to start, `preload.js` loads it, compiled already if the primary has that; `primary.js` what every primary does. `later.js` and `primary_later.js` have what
// each of them loads when it first needs it, if ever; `supervised.js` what a supervised worker needs to start as well; `supervisor.js` what supervision and the command take; `command.js` and `command_later.js`
// are for the verbs of the process manager (lib/command_bundle.js). V8 parses a function
// in parentheses once, at once, and any other one twice: that is why our own few lines link the modules, and not a bundler.

const fs = require('node:fs');
const path = require('node:path');
const { CLUSTER, COMMAND, FOLDER, ROOT, whyNot } = require('../lib/bundle.js');
const { say } = require('./build-native.js');
const { linker, withoutComments, write: writeBundle } = require('./lib/bundling.js');
const { link: linkCommand } = require('./lib/command_bundle.js');

const LIB = path.join(ROOT, 'lib');
/** What a process needs later it holds from the start. */
const HOLDER = 'held_module.js';

/**
 * One side of a cluster.
 *
 * @typedef {object} Side
 * @property {string[]} first What it loads when it starts, besides what these load at once.
 * @property {string[]} outside What it takes from lib/: what it never loads there, and what it has loaded from there before.
 */

/** @type {Side} */
const WORKER = {
  first: [HOLDER, 'preload.js', 'which_side.js', 'worker/take_over.js'],
  outside: ['bundle.js', 'primary/take_over.js', 'binary-name.js'],
};
/** @type {Side} */
const PRIMARY = {
  first: [HOLDER, 'which_side.js', 'primary/take_over.js', 'binary-name.js'],
  outside: ['bundle.js', 'worker/take_over.js'],
};
/** What a worker loads as well when it starts, if it is supervised. */
const OF_SUPERVISED = ['worker/leaving/supervised.js', 'worker/http_counts.js'];
/** What is loaded by supervision, and by the command. */
const OF_SUPERVISOR = ['supervisor/supervisor.js', 'supervisor/managed.js', 'supervisor/pid_file.js'];
/** How a module of ours is required; what is loaded at once stands at the beginning of a line. */
const REQUIRE = /\brequire\('(\.{1,2}\/[^']+)'\)/g;
const AT_ONCE = /^(?:const .* = )?require\('(\.{1,2}\/[^']+)'\)/gm;

/**
 * A module without what only people read. Its functions keep their names, for stack traces.
 *
 * @typedef {object} Module
 * @property {string} name Its path below lib/.
 * @property {string} code
 * @property {string[]} atOnce The modules that it loads when it is loaded itself.
 * @property {string[]} later Those that it loads when it needs them.
 */

/**
 * @param {string} name
 * @param {Side} side Who loads it.
 * @returns {Module}
 */
function read(name, { outside }) {
  const text = fs.readFileSync(path.join(LIB, name), 'utf8');
  const resolve = (/** @type {string} */ id) => path.posix.join(path.posix.dirname(name), id);
  const atOnce = new Set([...text.matchAll(AT_ONCE)].map(([, id]) => resolve(id)).filter((other) => !outside.includes(other)));
  /** @type {Set<string>} */
  const later = new Set();
  const linked = text.replaceAll(REQUIRE, (/** @type {string} */ _all, /** @type {string} */ id) => {
    const other = resolve(id);
    if (outside.includes(other)) return `require('../lib/${other}')`;
    if (!atOnce.has(other)) later.add(other);
    return `requireOurs('${other}')`;
  });
  return { name, code: shortened(linked), atOnce: [...atOnce], later: [...later] };
}

/**
 * In the memory of every process. With what is not ASCII, V8 would keep two bytes for every character.
 *
 * @param {string} text
 */
function shortened(text) {
  const code = withoutComments(text);
  // eslint-disable-next-line no-control-regex -- the last of ASCII's
  const [odd] = /[^\x00-\x7f]/.exec(code) ?? [];
  if (odd) throw new Error(`write ${odd} as an escape: it would double the memory that the bundle takes in each worker`);
  const torn = code.split('\n').find((line) => line.split('`').length % 2 === 0);
  if (torn) throw new Error(`write a text of several lines in another way, as each line is moved to the left: ${torn}`);
  // A sixth of the text would be indentation.
  return code.replaceAll(/^(?: {4})+/gm, (indentation) => ' '.repeat(indentation.length / 4));
}

/**
 * Modules and what they load.
 *
 * @param {string[]} names
 * @param {Side} side
 * @param {(module: Module) => string[]} loads
 * @param {Map<string, Module>} [found]
 */
function follow(names, side, loads, found = new Map()) {
  for (const name of names) {
    if (found.has(name)) continue;
    const module = read(name, side);
    found.set(name, module);
    follow(loads(module), side, loads, found);
  }
  return found;
}

const HEAD = `'use strict';

// Made of lib/ by scripts/bundle.js: edit there.

`;
/** @param {Module} module */
const atOnce = ({ name, code }) => `\n// lib/${name}\nmakers['${name}'] = (function (module, exports) {\n${code}\n});\n`;
/** @param {Module} module */
const whenNeeded = ({ name, code }) => `\n// lib/${name}\nmakers['${name}'] = function (module, exports) {\n${code}\n};\n`;
/** @returns {{ files: Record<string, string>, sources: string[] }} */
function link() {
  const both = (/** @type {Module} */ module) => [...module.atOnce, ...module.later];
  const without = (/** @type {Map<string, Module>} */ modules, /** @type {Map<string, Module>[]} */ ...others) =>
    new Map([...modules].filter(([name]) => !others.some((other) => other.has(name))));

  const code = read('worker_code.js', WORKER);
  const preload = follow(WORKER.first, WORKER, (module) => module.atOnce);
  const worker = follow(WORKER.first, WORKER, both);
  const supervised = without(follow(OF_SUPERVISED, WORKER, (module) => module.atOnce), preload);
  const alone = without(follow(['preload_alone.js'], WORKER, (module) => module.atOnce), preload);
  const primary = follow(PRIMARY.first, PRIMARY, (module) => module.atOnce);
  const all = follow([...PRIMARY.first, ...OF_SUPERVISOR], PRIMARY, both);
  // By its name one can see where a module is.
  const supervisor = new Map([...all].filter(([name]) => name.startsWith('supervisor/')));

  const list = (/** @type {Map<string, Module>} */ modules, /** @type {(module: Module) => string} */ write) => [...modules.values()].map(write).join('');
  const entry = (/** @type {Map<string, Module>} */ modules, /** @type {string} */ laterFile, others = 'later()') =>
    `${HEAD}${linker(others)}${list(modules, atOnce)}
const later = requireOurs('${HOLDER}').holdModule(\`\${__dirname}/${laterFile}\`, require);
module.exports = { makers, requireOurs };
`;
  const later = (/** @type {Map<string, Module>} */ modules) => `${HEAD}module.exports = (makers, requireOurs) => {\n${list(modules, whenNeeded)}\n};\n`;
  const ofSupervised = `${JSON.stringify([...supervised.keys()])}.includes(name) ? require('./supervised.js') : later()`;
  return {
    files: {
      'preload.js': `${HEAD}const code = { exports: {} };\n(function (module) {\n${code.code}\n})(code);
code.exports.load(\`\${__dirname}/worker.js\`)(exports, require, module, __filename, __dirname);\n`,
      // An expression: what compiles it is ours.
      'worker.js': `(function (exports, require, module, __filename, __dirname) { ${entry(preload, 'later.js', ofSupervised)}requireOurs('preload.js');\n})`,
      'preload_alone.js': `${HEAD}const { makers, requireOurs } = require('./preload.js');\n${list(alone, atOnce)}\nrequireOurs('preload_alone.js');\n`,
      'supervised.js': later(supervised),
      'later.js': later(without(worker, preload, supervised)),
      'primary.js': entry(primary, 'primary_later.js', "name.startsWith('supervisor/') ? require('./supervisor.js') : later()"),
      'primary_later.js': later(without(all, primary, supervisor)),
      'supervisor.js': later(supervisor),
    },
    sources: [...new Set([worker, alone, all].flatMap((modules) => [...modules.keys()]))].sort().map((name) => `lib/${name}`),
  };
}

/**
 * Makes sure that the bundles are there and made of the sources as they are.
 *
 * @returns {string} Their folder.
 */
function makeBundle() {
  if (whyNot(CLUSTER) !== undefined) writeBundle(CLUSTER, link);
  if (whyNot(COMMAND) !== undefined) writeBundle(COMMAND, linkCommand);
  return FOLDER;
}

module.exports = { makeBundle };

if (require.main === module) {
  require('./lib/setup.js').installTools().then(makeBundle).catch((/** @type {Error} */ error) => {
    say(error.message);
    process.exitCode = 1;
  });
}
