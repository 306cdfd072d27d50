'use strict';

// The sources that only cargo reads, as one file of the package: most installations never build, and would write two hundred files for
// nothing. Its content is JSON, paths with texts, compressed with brotli.

const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { root } = require('./sources.js');

const FILE = path.join('bundle', 'rust.json.br');
/** Besides what cargo asks for first, which is in the package as it is: Cargo.toml, Cargo.lock and build.rs. */
const SOURCES = ['src', 'manager/src', 'manager/web'];
/** Nobody tests what was installed. */
const TESTS = /\/tests(\.rs$|\/)/;
/** The same at the end of a file. As rustfmt writes it, only the last brace stands at the beginning of a line. */
const TESTS_AT_END = /\n#\[cfg\(test\)\]\nmod tests \{\n(?:[^}\n].*\n|\n)*\}\n$/;

/**
 * @param {string} file a file or folder, relative to `from`
 * @param {string} from
 * @returns {string[]} the files that are packed of it
 */
function filesOf(file, from) {
  if (!fs.statSync(path.join(from, file)).isDirectory()) return TESTS.test(file) ? [] : [file];
  return fs.readdirSync(path.join(from, file)).sort().flatMap((name) => filesOf(`${file}/${name}`, from));
}

/** Writes the file of the package. */
function packSources() {
  const textOf = (/** @type {string} */ file) => fs.readFileSync(path.join(root, file), 'utf8').replace(TESTS_AT_END, '');
  const texts = Object.fromEntries(SOURCES.flatMap((file) => filesOf(file, root)).map((file) => [file, textOf(file)]));
  const params = { [zlib.constants.BROTLI_PARAM_LGWIN]: zlib.constants.BROTLI_MAX_WINDOW_BITS };
  fs.mkdirSync(path.join(root, path.dirname(FILE)), { recursive: true });
  fs.writeFileSync(path.join(root, FILE), zlib.brotliCompressSync(JSON.stringify(texts), { params }));
}

/**
 * Makes sure that the sources are there, in a package too.
 *
 * @param {string} [to] the folder of the package
 */
function unpackSources(to = root) {
  const packed = path.join(to, FILE);
  if (SOURCES.every((file) => fs.existsSync(path.join(to, file))) || !fs.existsSync(packed)) return;
  const texts = /** @type {Record<string, string>} */ (JSON.parse(zlib.brotliDecompressSync(fs.readFileSync(packed)).toString()));
  for (const [file, text] of Object.entries(texts)) {
    fs.mkdirSync(path.join(to, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(to, file), text);
  }
}

module.exports = { FILE, packSources, unpackSources };
