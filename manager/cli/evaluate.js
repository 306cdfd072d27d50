'use strict';

// What a file of JavaScript, TypeScript, JSON or YAML gives. An error says where in the file it is.

const fs = require('node:fs');
const { pathToFileURL } = require('node:url');

/** The first Node that reads TypeScript. */
const TYPESCRIPT_SINCE = [22, 6];

/**
 * @param {string} file
 * @returns {Promise<any>}
 */
async function evaluate(file) {
  if (fs.statSync(file).isDirectory()) throw new Error(`${file}: is a folder`);
  if (/\.(?:json5?|ya?ml)$/.test(file)) return parseText(fs.readFileSync(file, 'utf8'), file);
  if (/ts$/.test(file) && !(/** @type {any} */ (process.features).typescript)) return evaluateTypeScript(file);
  try {
    return await valueOf(await import(pathToFileURL(file).href));
  } catch (error) {
    // What a module that is not there was wanted by takes more lines.
    throw new Error(`${file}: ${where(file, error).split('\nRequire stack:')[0]}`, { cause: error });
  }
}

/** @param {any} module */
async function valueOf(module) {
  const value = await (module.default?.default ?? module.default ?? module);
  return typeof value === 'function' ? value() : value;
}

/**
 * The line that an error in a file of JavaScript comes from, and what it says.
 *
 * @param {string} file
 * @param {any} error
 */
function where(file, error) {
  if (!(error instanceof Error)) return `threw ${error}`;
  const [place] = String(error.stack).match(new RegExp(`${file.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}:\\d+`)) ?? [];
  return place ? `line ${place.slice(file.length + 1)}: ${error.message}` : error.message;
}

/**
 * A Node that can leave types out, but does not unless told to, is told to.
 *
 * @param {string} file
 */
function evaluateTypeScript(file) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wanted, since] = TYPESCRIPT_SINCE;
  if (major < wanted || (major === wanted && minor < since)) throw new Error(`${file}: a configuration in TypeScript needs Node ${wanted}.${since} or newer, and this is ${process.version}`);
  const { spawnSync } = require('node:child_process');
  const program = `
    import(${JSON.stringify(pathToFileURL(file).href)}).then(async (module) => {
      const value = await module.default;
      require('node:fs').writeSync(3, JSON.stringify(await (typeof value === 'function' ? value() : value)) ?? 'null');
    }).catch((error) => { console.error(error.message); process.exit(1); });`;
  const { status, stderr, output } = spawnSync(process.execPath, ['--experimental-strip-types', '--no-warnings', '-e', program], { encoding: 'utf8', stdio: ['ignore', 'inherit', 'pipe', 'pipe'] });
  if (status !== 0) throw new Error(`${file}: ${stderr.trim()}`);
  return JSON.parse(/** @type {any} */ (output)[3]);
}

/**
 * JSON as PM2 reads it, with comments and whatever else a literal of JavaScript may have; or YAML.
 *
 * @param {string} text
 * @param {string} file
 */
function parseText(text, file) {
  const bare = text.replace(/^\uFEFF/, '');
  if (bare.trim() === '') throw new Error(`${file}: is empty`);
  const isYaml = /\.ya?ml$/.test(file) || (!/\.json5?$/.test(file) && !/^\s*(?:[[{]|\/[/*])/.test(bare));
  if (isYaml) return parseYaml(bare, file);
  try {
    return JSON.parse(bare);
  } catch {
    try {
      return require('node:vm').runInNewContext(`(${bare}\n)`, {}, { timeout: 1000, filename: file });
    } catch (error) {
      const line = /:(\d+)\n/.exec(String(/** @type {Error} */ (error).stack))?.[1];
      // The bracket behind it is ours.
      if (Number(line) > bare.split('\n').length) throw new Error(`${file}: ends too soon: a bracket or a quote is not closed`, { cause: error });
      throw new Error(`${file}: ${line ? `line ${line}: ` : ''}${/** @type {Error} */ (error).message}`, { cause: error });
    }
  }
}

/**
 * @param {string} text
 * @param {string} file
 */
function parseYaml(text, file) {
  const { parseDocument } = require('yaml');
  const document = parseDocument(text, { merge: true });
  const [error] = document.errors;
  if (!error) return document.toJS();
  const [{ line }] = error.linePos ?? [{ line: 1 }];
  throw new Error(`${file}: line ${line}: ${error.message.split('\n')[0].replace(/ at line \d+.*$/, '')}`);
}

module.exports = { evaluate, parseText };
