'use strict';

// docs/from-pm2.md has every verb and every option, PM2's and ours.

const fs = require('node:fs');
const path = require('node:path');

const { START_FLAGS } = require('../../manager/cli/flags.js');
const { INSTEAD, VERBS } = require('../../manager/cli/verbs.js');
const { parse } = require('../../manager/cli/words.js');

const page = fs.readFileSync(path.join(__dirname, '..', '..', 'docs', 'from-pm2.md'), 'utf8');
const words = new Set([...page.matchAll(/`([^`\n]+)`/g)].flatMap(([, text]) => text.split(/[\s|]+/)));
const has = (/** @type {string} */ word) => words.has(word) || words.has(word.replace(/:.*/, ':*'));

test('every verb', () => {
  expect([...Object.keys(VERBS), ...Object.keys(INSTEAD)].filter((word) => !has(word))).toEqual([]);
});

test('every option of start', () => {
  const options = START_FLAGS.map((flag) => parse(flag).long);
  expect(options.filter((word) => !has(word))).toEqual([]);
});

test('every verb is a file that says what it is', () => {
  for (const file of Object.values(VERBS)) {
    const verb = require(`../../manager/cli/verbs/${file}.js`);
    expect([file, typeof verb.run, /^[A-Z].*\.$/s.test(verb.summary)]).toEqual([file, 'function', true]);
  }
});
