'use strict';

// What all bundles have in common: how modules are linked, and how files are made that nobody sees half of.

const fs = require('node:fs');
const path = require('node:path');
const { FOLDER, ROOT } = require('../../lib/bundle.js');

/**
 * What has made a module is let go: its code takes as much memory as all of the text.
 *
 * @param {string} others An expression: what adds the makers of a module that is not here.
 */
const linker = (others) => `const makers = { __proto__: null };
const loaded = { __proto__: null };
function requireOurs(name) {
  const known = loaded[name];
  if (known) return known.exports;
  if (!makers[name]) (${others})(makers, requireOurs);
  const module = (loaded[name] = { exports: {} });
  const make = makers[name];
  makers[name] = undefined;
  make(module, module.exports);
  return module.exports;
}
`;

/**
 * A module's code without comments, a statement a line, so that what Node shows of an error can be read.
 *
 * @param {string} text
 */
function withoutComments(text) {
  const { ModuleKind, ScriptTarget, transpileModule } = require('typescript');
  const { outputText } = transpileModule(text, {
    fileName: 'module.js',
    compilerOptions: { allowJs: true, module: ModuleKind.Preserve, removeComments: true, target: ScriptTarget.ESNext },
  });
  return outputText.trim();
}

/**
 * No process that starts meanwhile gets half a file.
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

/**
 * Writes a bundle: its files, and what they were made of.
 *
 * @param {import('../../lib/bundle.js').Bundle} bundle
 * @param {() => { files: Record<string, string>, sources: string[] }} link `sources`: paths below the project's folder.
 */
function write({ sources: list }, link) {
  const started = new Date();
  const { files, sources } = link();
  // First and last, so that half a bundle is none. Its time is the start's: a source saved meanwhile is newer.
  fs.rmSync(list, { force: true });
  for (const [name, contents] of Object.entries(files)) put(path.join(FOLDER, name), contents, started);
  const sizes = sources.map((name) => [name, fs.statSync(path.join(ROOT, name)).size]);
  put(list, `${JSON.stringify(Object.fromEntries(sizes), null, 2)}\n`, started);
}

module.exports = { linker, withoutComments, write };
