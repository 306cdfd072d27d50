'use strict';

// The workflow for public CI, which runs where none of us looks: what it names is there.

const fs = require('node:fs');
const path = require('node:path');
const { parseDocument } = require('yaml');
const { scripts } = require('../package.json');
const { ARCHES } = require('../scripts/lib/targets.js');

const ROOT = path.join(__dirname, '..');
const source = fs.readFileSync(path.join(ROOT, '.github', 'workflows', 'ci.yml'), 'utf8');
const document = parseDocument(source);
const { jobs } = document.toJS();
/** Lines of its scripts, each with the job that it belongs to. */
const lines = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = '' }) => run.split('\n')));

test('it is YAML, and says at its top whether it has run', () => {
  expect([...document.errors, ...document.warnings]).toEqual([]);
  expect(source).toMatch(/^# NEVER RUN/);
});

test('each script that it runs is one of the package, and each file is there', () => {
  const names = lines.flatMap((line) => [...line.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name));
  expect(names).toEqual(expect.arrayContaining(['build', 'test:arm64']));
  expect(names.filter((name) => !(name in scripts))).toEqual([]);
  const files = lines.map((line) => line.split(' ')[0]).filter((word) => word.startsWith('.ci/'));
  expect(files).toEqual(['.ci/run']);
  for (const file of files) fs.accessSync(path.join(ROOT, file), fs.constants.X_OK);
});

test('it installs what .ci/run would, if that were root', () => {
  const [table] = /node \S+programs\.js/.exec(fs.readFileSync(path.join(ROOT, '.ci', 'run'), 'utf8')) ?? [];
  expect(lines.filter((line) => line.includes('apt-get install')).filter((line) => line.includes(`$(${table})`)).length).toBeGreaterThan(0);
  // It prints nothing where all is there.
  fs.accessSync(path.join(ROOT, String(table?.split(' ')[1])));
});

test('it tests each processor that files are packed for, and packs after all have passed', () => {
  expect(jobs.test.strategy.matrix.include.map(({ arch }) => arch)).toEqual(ARCHES);
  expect(jobs.pack.needs).toBe('test');
});

test('the tools for packing are installed as CONTRIBUTING.md has it', () => {
  const how = /^\.cache\/packing\/bin\/pip install .*$/m.exec(fs.readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8'))?.[0];
  expect(lines.filter((line) => line.includes('pip install'))).toEqual([expect.stringContaining(String(how))]);
});
