'use strict';

// Each function of lib/node/, the door to Node's private members, has a test of its own.

const fs = require('node:fs');
const path = require('node:path');

const LIB = path.join(__dirname, '..', '..', 'lib', 'node');

test('every function is named by a test', () => {
  const titles = fs.readdirSync(__dirname).flatMap((file) =>
    [...fs.readFileSync(path.join(__dirname, file), 'utf8').matchAll(/^(?:test\(|\]\)\()'([^:']+):? /gm)].map(([, names]) => names));
  const named = new Set(titles.flatMap((names) => names.split(/, | and |:| are /)));
  const exported = fs.readdirSync(LIB).flatMap((file) => Object.keys(require(path.join(LIB, file))));
  expect(exported.filter((name) => !named.has(name))).toEqual([]);
});
