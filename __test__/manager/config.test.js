'use strict';

// docs/config.md has every key that there is, with its other names, and none that there is not.

const fs = require('node:fs');
const path = require('node:path');

const { KEYS, NOTHING } = require('../../manager/cli/keys.js');

const page = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'config.md'), 'utf8');
const namesIn = (/** @type {string} */ text) => [...text.matchAll(/`([a-z_A-Z0-9]+)`/g)].map(([, name]) => name);

test('the table', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.*?) \| (\w+) \| (.*) \|$/gm)].map(([, name, also, type, about]) => [name, { aliases: namesIn(also), type, about }]);
  const wanted = Object.entries(KEYS).map(([name, { aliases = [], type, about }]) => [name, { aliases, type, about }]);
  expect(rows).toEqual(wanted);
});

test('what does nothing', () => {
  expect(namesIn(/do nothing: (.*?)\. /.exec(page)?.[1] ?? '')).toEqual([...NOTHING]);
});
