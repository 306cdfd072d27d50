'use strict';

// Bad luck and odd habits of those who come from PM2.

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

test('a script that is called like an app starts under another name, and options change an app that is known', async () => {
  const home = new Home();
  home.write('a.js', ARGS);
  const node = ['start', 'node'];
  await home.run(...node, '--', 'a.js', 'one');
  expect((await home.run(...node, '--name', 'two', '--', 'a.js', 'two')).code).toBe(0);
  expect([await said(home, 'node'), await said(home, 'two')]).toEqual(['["one"]', '["two"]']);
  await home.run('stop', 'two');
  expect((await home.run('start', 'two', '--kill-timeout', '700', '--', 'a.js', 'three')).code).toBe(0);
  await waitFor('the new argument', () => home.log('two-out.log').includes('["three"]'));
  expect((await home.json('describe', 'two'))[0].killTimeout).toBe(700);
  expect((await home.run('reload', 'two', '--kill-timeout', '800')).code).toBe(0);
  expect((await home.json('describe', 'two'))[0].killTimeout).toBe(800);
  expect(await home.run('start', 'two', '--name', 'three')).toMatchObject({ code: 2, stderr: expect.stringContaining('rcluster restart two with --name') });
  // What would do nothing is refused, as PM2 does.
  for (const verb of ['start', 'restart', 'reload']) {
    expect(await home.run(verb, 'two', '--env', 'production')).toMatchObject({ code: 2, stderr: expect.stringContaining('--env counts with a configuration file') });
  }
});

test('words of a command line come as they were typed', async () => {
  const home = new Home();
  home.write('a b.js', ARGS);
  home.write('e.config.js', String.raw`module.exports = { apps: [{ name: 'c', script: 'a b.js', args: "don't --re ^\\d+$ --x='y z' \"it's\" ''" }] }`);
  await home.run('start', "node 'a b.js' first", '--name', 'line', '--', 'q r', "it's", '$HOME', '*');
  await home.run('start', 'e.config.js');
  expect(JSON.parse(await said(home, 'line'))).toEqual(['first', 'q r', "it's", '$HOME', '*']);
  expect(JSON.parse(await said(home, 'c'))).toEqual(["don't", '--re', String.raw`^\d+$`, '--x=y z', "it's", '']);
});

test('log_date_format alone has times before lines', async () => {
  const home = new Home();
  home.write('a.js', ARGS);
  home.write('e.config.js', "module.exports = { apps: [{ name: 'a', script: 'a.js', log_date_format: '[at] YYYY' }, { name: 'j', script: 'a.js', log_type: 'json' }] }");
  await home.run('start', 'e.config.js');
  expect(await said(home, 'a')).toMatch(/^\[?at\]? \d{4}: \[\]$/);
  await said(home, 'j');
  await home.run('restart', 'j', '--log-date-format', 'YYYY');
  await waitFor('a line with another time', () => /\{"ts":"\d{4}",/.test(home.log('j-out.log')));
});

test('what a configuration file leaves open keeps no command', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('e.config.js', "setInterval(() => {}, 1e6); require('net').createServer().listen(0, '127.0.0.1'); module.exports = { apps: [{ script: 'a.js' }] }");
  expect(await home.run('start', 'e.config.js')).toMatchObject({ code: 0 });
  expect((await home.run('delete', 'e.config.js')).code).toBe(0);
});

test('start ends when a program goes again and again before it is ready', async () => {
  const home = new Home();
  home.write('a.js', 'setTimeout(() => process.exit(1), 1100)');
  const { code, stderr } = await home.run('start', 'a.js', '--wait-ready', '--listen-timeout', '2000');
  expect([code, stderr]).toEqual([1, 'rcluster: a (0): was not ready after 2000 ms, and is started again and again, as it ends before: rcluster logs may say why\n']);
});
