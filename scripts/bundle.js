'use strict';

// Makes few files of the many that a worker loads, in `bundle/`, or does nothing when they are made of the sources as they are.
//   node scripts/bundle.js
//
// `preload.js` has what every worker needs to start, `later.js` what is loaded when it is first needed, if ever. V8 parses a function
// in parentheses once, at once, and any other one twice: that is why our own few lines link the modules, and not a bundler.

const fs = require('node:fs');
const path = require('node:path');
const { FOLDER, ROOT, SOURCES, whyNot } = require('../lib/bundle.js');
const { say } = require('./build-native.js');

const LIB = path.join(ROOT, 'lib');
/** What a worker loads when it starts, besides what these load at once. */
const FIRST = ['preload.js', 'which_side.js', 'worker/take_over.js'];
/** What no worker loads: where it is required, it is required from lib/. */
const OF_PRIMARY = new Set(['primary/take_over.js', 'binary-name.js']);
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
 * @returns {Module}
 */
function read(name) {
  const text = fs.readFileSync(path.join(LIB, name), 'utf8');
  const resolve = (/** @type {string} */ id) => path.posix.join(path.posix.dirname(name), id);
  const atOnce = new Set([...text.matchAll(AT_ONCE)].map(([, id]) => resolve(id)));
  /** @type {Set<string>} */
  const later = new Set();
  const linked = text.replaceAll(REQUIRE, (/** @type {string} */ _all, /** @type {string} */ id) => {
    const other = resolve(id);
    if (OF_PRIMARY.has(other)) return `require('../lib/${other}')`;
    if (!atOnce.has(other)) later.add(other);
    return `requireOurs('${other}')`;
  });
  return { name, code: withoutComments(linked), atOnce: [...atOnce], later: [...later] };
}

/**
 * One statement a line is left, so that what Node shows of an error can be read. With what is not ASCII, V8 would keep two bytes
 * for every character.
 *
 * @param {string} text
 */
function withoutComments(text) {
  const { ModuleKind, ScriptTarget, transpileModule } = require('typescript');
  const { outputText } = transpileModule(text, {
    fileName: 'module.js',
    compilerOptions: { allowJs: true, module: ModuleKind.Preserve, removeComments: true, target: ScriptTarget.ESNext },
  });
  const code = outputText.trim();
  // eslint-disable-next-line no-control-regex -- the last of ASCII's
  const [odd] = /[^\x00-\x7f]/.exec(code) ?? [];
  if (odd) throw new Error(`write ${odd} as an escape: it would double the memory that the bundle takes in each worker`);
  return code;
}

/**
 * Modules and what they load.
 *
 * @param {string[]} names
 * @param {(module: Module) => string[]} loads
 * @param {Map<string, Module>} [found]
 */
function follow(names, loads, found = new Map()) {
  for (const name of names) {
    if (found.has(name)) continue;
    const module = read(name);
    found.set(name, module);
    follow(loads(module), loads, found);
  }
  return found;
}

const HEAD = `'use strict';

// Made of lib/ by scripts/bundle.js: edit there.

`;
const LINKER = `const makers = { __proto__: null };
const loaded = { __proto__: null };
function requireOurs(name) {
  const known = loaded[name];
  if (known) return known.exports;
  if (!makers[name]) require('./later.js')(makers, requireOurs);
  const module = (loaded[name] = { exports: {} });
  makers[name](module, module.exports);
  return module.exports;
}
`;

/** @param {Module} module */
const atOnce = ({ name, code }) => `\n// lib/${name}\nmakers['${name}'] = (function (module, exports) {\n${code}\n});\n`;
/** @param {Module} module */
const whenNeeded = ({ name, code }) => `\n// lib/${name}\nmakers['${name}'] = function (module, exports) {\n${code}\n};\n`;

/** @returns {{ files: Record<string, string>, sources: string[] }} */
function link() {
  const first = follow(FIRST, (module) => module.atOnce);
  const all = follow(['preload.js'], (module) => [...module.atOnce, ...module.later]);
  const rest = [...all.values()].filter(({ name }) => !first.has(name));
  const alone = follow(['preload_alone.js'], (module) => module.atOnce.filter((name) => name !== 'preload.js'));
  // It goes on with the other file.
  alone.set('preload.js', { name: 'preload.js', code: "require('./preload.js');", atOnce: [], later: [] });
  const entry = (/** @type {Map<string, Module>} */ modules, /** @type {string} */ name) =>
    `${HEAD}${LINKER}${[...modules.values()].map(atOnce).join('')}\nrequireOurs('${name}');\n`;
  return {
    files: {
      'preload.js': entry(first, 'preload.js'),
      'preload_alone.js': entry(alone, 'preload_alone.js'),
      'later.js': `${HEAD}module.exports = (makers, requireOurs) => {\n${rest.map(whenNeeded).join('')}\n};\n`,
    },
    sources: [...new Set([...all.keys(), ...alone.keys()])].sort(),
  };
}

/**
 * Makes sure that the bundle is there and made of the sources as they are.
 *
 * @returns {string} Its folder.
 */
function makeBundle() {
  if (whyNot() === undefined) return FOLDER;
  const started = new Date();
  const { files, sources } = link();
  // First and last, so that half a bundle is none. Its time is the start's: a source saved meanwhile is newer.
  fs.rmSync(SOURCES, { force: true });
  for (const [name, contents] of Object.entries(files)) put(path.join(FOLDER, name), contents, started);
  const sizes = sources.map((name) => [`lib/${name}`, fs.statSync(path.join(LIB, name)).size]);
  put(SOURCES, `${JSON.stringify(Object.fromEntries(sizes), null, 2)}\n`, started);
  return FOLDER;
}

/**
 * No worker that starts meanwhile gets half a file.
 *
 * @param {string} file
 * @param {string} contents
 * @param {Date} time
 */
function put(file, contents, time) {
  fs.mkdirSync(FOLDER, { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, contents);
  fs.utimesSync(temporary, time, time);
  fs.renameSync(temporary, file);
}

module.exports = { makeBundle };

if (require.main === module) {
  try {
    require('./lib/setup.js').installTools();
    makeBundle();
  } catch (error) {
    say(/** @type {Error} */ (error).message);
    process.exitCode = 1;
  }
}
