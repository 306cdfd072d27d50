'use strict';

// The list of errors in docs/errors.md is complete, and names none that there is not.

const fs = require('node:fs');
const path = require('node:path');

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

test('every code is documented, and every documented code exists', () => {
  const used = new Set(['lib', 'bin', 'manager'].flatMap((folder) => codesIn(path.join(root, folder))));
  const documented = new Set(fs.readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8').match(CODE));
  expect([...documented].sort()).toEqual([...used].sort());
});
