'use strict';

// What goes wrong is told in words that help.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const SLEEP = 'setInterval(() => {}, 1e6)';
const ARGS = 'console.log(JSON.stringify(process.argv.slice(2))); setInterval(() => {}, 1e6)';
const said = async (/** @type {Home} */ home, /** @type {string} */ name) => {
  const file = path.join(home.path, 'logs', `${name}-out.log`);
  await waitFor(`a line of ${name}`, () => fs.existsSync(file) && fs.readFileSync(file, 'utf8').includes('\n'));
  return home.log(`${name}-out.log`).trimEnd();
};
const executable = (/** @type {Home} */ home, /** @type {string} */ name, /** @type {string} */ text) => fs.chmodSync(home.write(name, text), 0o755);

test('what cannot be executed is told in words that help', async () => {
  const home = new Home();
  executable(home, 'windows', '#!/bin/sh\r\necho\r\n');
  executable(home, 'nobody', '#!/no/such/thing -x\n');
  home.write('plain', '#!/bin/sh\n');
  fs.mkdirSync(path.join(home.folder, 'folder'));
  fs.mkdirSync(path.join(home.folder, 'sleep'));
  const start = async (/** @type {string} */ name) => (await home.run('start', `./${name}`)).stderr;
  expect(await start('windows')).toMatch(/no interpreter "\/bin\/sh", which the first line of ".*windows" asks for: its lines end as those of Windows do/);
  expect(await start('nobody')).toMatch(/no interpreter "\/no\/such\/thing", which the first line of ".*nobody" asks for\n/);
  expect(await start('plain')).toMatch(/is not executable: chmod \+x/);
  expect(await start('folder')).toMatch(/is a folder/);
  expect(await home.run('start', 'a.js', '--cwd', 'folder')).toMatchObject({ code: 1, stderr: `rcluster: there is no script "${path.join(home.folder, 'folder', 'a.js')}"\n` });
  // A program of the PATH is meant, whatever folder is called like it. A text that says nothing is JavaScript, executable or not.
  executable(home, 'www', ARGS);
  expect(await home.run('start', 'sleep', '--', '1000')).toMatchObject({ code: 0 });
  expect(await home.run('start', './www')).toMatchObject({ code: 0 });
  expect(await said(home, 'www')).toBe('[]');
});

test('scale says what it cannot do, and a folder that has gone is no riddle', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  for (const count of ['0', '-3']) {
    expect(await home.run('scale', 'a', count)).toMatchObject({ code: 1, stderr: `rcluster: scale: at least one stays, and "a" has 1: rcluster stop a ends all. Received ${count}\n` });
  }
  const folder = path.join(home.folder, 'gone');
  fs.mkdirSync(folder);
  const words = [process.execPath, path.join(__dirname, '..', '..', 'bin', 'rcluster.js'), 'start', 'b.js'];
  const { status, stderr } = spawnSync('sh', ['-c', 'rmdir "$PWD" && exec "$0" "$@"', ...words], { cwd: folder, encoding: 'utf8', env: { ...process.env, RCLUSTER_HOME: home.path } });
  expect([status, stderr]).toEqual([1, 'rcluster: the folder that this was typed in is not there any more: cd to another one\n']);
});

test('a home that is no folder, or is not ours, is named', async () => {
  const home = new Home();
  const file = home.write('file', '');
  expect((await home.runWith({ env: { RCLUSTER_HOME: file } }, 'list')).stderr).toMatch(new RegExp(`^rcluster: the home "${file}" .*\n$`));
});

test('names with control characters are refused, and signals have numbers as well', async () => {
  const home = new Home();
  home.write('a.js', "for (const name of ['SIGUSR2', 'SIGHUP']) process.on(name, () => console.log(name)); console.log('up'); setInterval(() => {}, 1e6)");
  expect(await home.run('start', 'a.js', '--name', 'a\u001b[31m')).toMatchObject({ code: 1, stderr: expect.stringContaining('"name" must have no control characters') });
  await home.run('start', 'a.js');
  await said(home, 'a');
  for (const [signal, name] of [['12', 'SIGUSR2'], ['sighup', 'SIGHUP']]) {
    expect((await home.run('sendSignal', signal, 'a')).code).toBe(0);
    await waitFor(name, () => home.log('a-out.log').includes(name));
  }
  for (const signal of ['0', '99', 'SIGFOO']) expect(await home.run('sendSignal', signal, 'a')).toMatchObject({ code: 1, stderr: `rcluster: there is no signal "${signal}"\n` });
});
