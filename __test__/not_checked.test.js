'use strict';

// Nothing is left out silently: what a test that needs something is reported as, where that is missing (helpers/needs.js, helpers/reporter.js).

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const HELPERS = path.join(__dirname, 'helpers');
const NEEDS = `const { describeUnless, testUnless, testWith } = require(${JSON.stringify(path.join(HELPERS, 'needs'))});`;
const HERE = "test('what runs', () => {});";
/** Two with a program, and one with a right. */
const NEEDY = `${NEEDS} ${HERE}
  testWith('tmux')('a terminal', () => {});
  testWith('tmux').each([[1]])('terminal %i', () => {});
  describeUnless('nobody may mount', 'tmux')('mounting', () => { test('it works', () => {}); });`;

/** @type {string} */
let folder;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-needs-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * Runs jest where no program is installed.
 *
 * @param {string} text of a test file
 * @param {NodeJS.ProcessEnv} env
 */
function run(text, env) {
  fs.writeFileSync(path.join(folder, 'a.test.js'), text);
  const config = JSON.stringify({ rootDir: folder, transform: {}, testEnvironment: 'node', reporters: ['default', path.join(HELPERS, 'reporter.js')] });
  const { CI: _CI, TESTS_WITHOUT: _WITHOUT, CI_NOT_CHECKED: _NOTES, ...inherited } = process.env;
  const notes = path.join(folder, 'notes');
  const { status, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'), '--config', config, '--runInBand'], {
    cwd: folder, encoding: 'utf8', env: { ...inherited, PATH: folder, CI_NOT_CHECKED: notes, ...env },
  });
  return { status, said: stderr, notes: fs.existsSync(notes) ? fs.readFileSync(notes, 'utf8').replaceAll(path.relative(ROOT, folder), '') : '' };
}

const MOUNT = 'nobody may mount: 1 test of /a.test.js\n';
const TMUX = 'there is no tmux (Debian package: tmux): 2 tests of /a.test.js\n';

test('elsewhere it is skipped, and the report says why', () => {
  const { status, said, notes } = run(NEEDY, {});
  expect({ status, notes }).toEqual({ status: 0, notes: TMUX + MOUNT });
  expect(said).toMatch(/^not checked here: there is no tmux \(Debian package: tmux\): 2 tests of /m);
});

test('in CI what lacks a program fails, with the package that brings it; what is forbidden is reported', () => {
  const { status, said, notes } = run(NEEDY, { CI: 'true' });
  expect({ status, notes }).toEqual({ status: 1, notes: MOUNT });
  expect(said).toContain('this test needs tmux (Debian package: tmux): install it');
  expect(said).toMatch(/^Tests: +2 failed, 1 skipped, 1 passed/m);
});

test('in CI what cannot be installed is reported', () => {
  expect(run(NEEDY, { CI: 'true', TESTS_WITHOUT: 'wrk tmux' })).toMatchObject({ status: 0, notes: TMUX + MOUNT });
});

test.each(["test.skip('a', () => {});", "test.todo('a');", "test.only('a', () => {});"])('in CI no test is left out without a reason: %s', (line) => {
  const { status, said } = run(`${HERE} ${line}`, { CI: 'true' });
  expect(status).toBe(1);
  expect(said).toMatch(/these tests did not run, and no reason is given .*\n {2}\S+a\.test\.js: /);
  expect(run(`${HERE} ${line}`, {})).toMatchObject({ status: 0, notes: '' });
});
