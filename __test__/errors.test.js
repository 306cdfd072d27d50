'use strict';

// The lists of errors in docs/errors.md and in index.d.ts are complete, and name none that there is not.

const fs = require('node:fs');
const path = require('node:path');

const { OURS } = require('../lib/errors.js');

const root = path.join(__dirname, '..');
const CODE = /ERR_RCLUSTER_[A-Z_]+/g;

/**
 * @param {string} folder
 * @returns {string[]}
 */
function codesIn(folder) {
  return fs.readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile() || !/\.(?:js|rs)$/.test(entry.name)) return [];
    return fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8').match(CODE) ?? [];
  });
}

/** The codes of the library, with their classes. */
const ours = Object.entries(OURS).map(([code, { name }]) => [code, name]);
const read = (...file) => fs.readFileSync(path.join(root, ...file), 'utf8');

test('the table of the library is what docs/errors.md says, classes included', () => {
  const [library] = read('docs', 'errors.md').split('## The process manager');
  const documented = [...library.matchAll(/^\| `(ERR_RCLUSTER_[A-Z_]+)` \| `(\w+)` \|/gm)].map(([, code, name]) => [code, name]);
  expect(documented.sort()).toEqual(ours.sort());
});

test('index.d.ts names all of them, and no others', () => {
  expect([...new Set(read('index.d.ts').match(CODE))].sort()).toEqual(ours.map(([code]) => code).sort());
});

test('each is thrown, or emitted, by somebody', () => {
  const { name } = path.parse('errors.js');
  const used = fs.readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .flatMap((file) => read('lib', file).match(path.parse(file).name === name ? /(?<=ours\(')ERR_RCLUSTER_\w+/g : CODE) ?? []);
  expect(new Set(used)).toEqual(new Set(Object.keys(OURS)));
});

test('every code is documented, and every documented code exists', () => {
  const used = new Set(['lib', 'bin', 'manager'].flatMap((folder) => codesIn(path.join(root, folder))));
  const documented = new Set(fs.readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8').match(CODE));
  expect([...documented].sort()).toEqual([...used].sort());
});
