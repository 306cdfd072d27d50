'use strict';

// A native part of another version than the files around it: one clear error when rcluster is loaded, and nothing odd much later.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { binaryPath } = require('../lib/binary-name.js');
const { ROOT } = require('./helpers/run');

/** @type {string} */
let copy;

beforeAll(() => {
  copy = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-version-'));
  for (const name of ['index.js', 'package.json', 'lib', 'bundle', 'native']) fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true });
});

afterAll(() => fs.rmSync(copy, { recursive: true }));

/** Loads the copy, as its sources are: a bundle is made of them. @param {string} expression */
const load = (expression) => spawnSync(process.execPath, ['-p', expression], { cwd: copy, encoding: 'utf8' });

test('one that was not built from these files is refused when it is loaded', () => {
  expect(load("require('./lib/load.js').rcluster.native").stdout).toBe('true\n');
  const file = path.join(copy, 'lib', 'native_interface.js');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, text.replace(/'\w+' }/, "'another' }"));
  fs.rmSync(path.join(copy, 'bundle'), { recursive: true });
  const { status, stdout, stderr } = load("require('./index.js').rcluster.native");
  const binary = path.join(copy, 'native', path.basename(binaryPath()));
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toContain(`the native part (${binary}) and the files of rcluster are of different versions: run "npm run build" in a checkout, or install rcluster anew`);
  expect(stderr).toContain("code: 'ERR_RCLUSTER_VERSION'");
  fs.writeFileSync(file, text);
});

test('one of before there was such a check is refused as well', () => {
  // As it would be: it has all but this.
  const odd = `
    const { interfaceVersion, ...before } = require(${JSON.stringify(path.join(copy, 'native', path.basename(binaryPath())))});
    require.cache[Object.keys(require.cache).at(-1)].exports = before;
    require('./lib/native.js').load()`;
  expect(load(odd).stderr).toContain("code: 'ERR_RCLUSTER_VERSION'");
});
