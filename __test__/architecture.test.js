'use strict';

// docs/architecture.md names files and functions that there are.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const page = fs.readFileSync(path.join(ROOT, 'docs', 'architecture.md'), 'utf8');
const FILE = /^(?:lib|src|bundle|__test__)\/[\w./]*$/;

test('every file is there', () => {
  const files = [...page.matchAll(/`([^`\s]+)`/g)].map(([, name]) => name).filter((name) => FILE.test(name));
  expect(files.length).toBeGreaterThan(30);
  expect(files.filter((name) => !fs.existsSync(path.join(ROOT, name)))).toEqual([]);
});

test('every function that is to be followed is in its file', () => {
  const [, ways] = /\n## Follow it\n([^]*?)\n## /.exec(page);
  const wrong = [];
  let count = 0;
  for (const [, file, names] of ways.matchAll(/`((?:lib|src)\/[\w./]+)`: ((?:`#?\w+`(?:, )?)+)/g)) {
    const where = path.join(ROOT, file);
    const files = fs.statSync(where).isDirectory() ? fs.readdirSync(where).map((name) => path.join(where, name)) : [where];
    const text = files.map((name) => fs.readFileSync(name, 'utf8')).join('\n');
    for (const [, name] of names.matchAll(/`(#?\w+)`/g)) {
      count++;
      if (!new RegExp(`(?:fn |function |^\\s+(?:async )?|^\\s+)${name.replace('#', '#')}(?:<[^(]*>)?(?:\\(|: \\()`, 'm').test(text)) wrong.push(`${file}: ${name}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(50);
});
