'use strict';

// Configuration files in every form that there is.

const fs = require('node:fs');
const path = require('node:path');

const { testUnless } = require('../helpers/needs');
const { cachedNodes } = require('../helpers/nodes');
const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';
/** Nodes that can leave types out. */
const typed = cachedNodes([24, 22, 26]);

/** @type {[string, string][]} */
const FORMS = [
  ['ecosystem.config.js', 'module.exports = { apps: [{ name: "x", script: "a.js" }] }'],
  ['rcluster.config.cjs', 'module.exports = async () => ({ apps: [{ name: "x", script: "a.js" }] })'],
  ['ecosystem.config.mjs', 'export default Promise.resolve({ apps: [{ name: "x", script: "a.js" }] });'],
  ['pm2.config.js', 'module.exports = [{ name: "x", script: "a.js" }]'],
  ['one.config.js', 'module.exports = { name: "x", script: "a.js" }'],
  ['ecosystem.json', '{ /* as PM2 reads it */ "apps": [{ name: "x", "script": "a.js", }], }'],
  ['ecosystem.json5', '{ // as JSON5 has it\n apps: [{ name: \'x\', script: "a.js" }] }'],
  ['processes.json', '\uFEFF{ "processes": [{ "name": "x", "exec": "a.js" }] } // the old name'],
  ['rcluster.config.yaml', 'apps:\n  - name: x\n    script: a.js\n    env: { A: 1 }\n'],
  ['process.yml', '- &base\n  name: x\n  script: a.js\n'],
];

test.each(FORMS)('%s', async (name, text) => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write(name, text);
  const plans = await home.json('apply', name, '--dry-run');
  expect(plans).toEqual([{ name: 'x', namespace: 'default', action: 'start', changes: [] }]);
});

test('standard input, in JSON and YAML', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  for (const input of ['[{ "name": "x", "script": "a.js" }]', 'apps:\n  - name: x\n    script: a.js\n']) {
    const { stdout } = await home.runWith({ input }, 'apply', '-', '--dry-run');
    expect(stdout).toBe('x would start\n');
  }
});

test('scripts are found beside the file, or where the command is typed', async () => {
  const home = new Home();
  home.write('here.js', SLEEP);
  fs.mkdirSync(path.join(home.folder, 'config'));
  home.write('config/there.js', SLEEP);
  home.write('config/ecosystem.config.js', 'module.exports = [{ script: "here.js" }, { script: "there.js" }]');
  await home.run('start', 'config/ecosystem.config.js');
  expect((await home.json('list')).map((/** @type {any} */ { cwd }) => path.relative(home.folder, cwd))).toEqual(['', 'config']);
});

test('the file of the folder is found', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('ecosystem.config.cjs', 'module.exports = [{ name: "pm2", script: "a.js" }]');
  expect((await home.run('apply', '--dry-run')).stdout).toBe('pm2 would start\n');
  home.write('rcluster.config.json', '[{ "name": "ours", "script": "a.js" }]');
  expect((await home.run('apply', '--dry-run')).stdout).toBe('ours would start\n');
});

testUnless(typed.length === 0 && 'no Node 22 or newer is in the cache')('TypeScript, where Node reads it', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write('rcluster.config.ts', 'interface App { name: string }\nexport default async () => ({ apps: [{ name: "x", script: "a.js" }] as App[] });');
  for (const node of typed) {
    const { stdout, stderr } = await home.runWith({ node }, 'apply', 'rcluster.config.ts', '--dry-run');
    expect([stdout, stderr]).toEqual(['x would start\n', '']);
  }
  if (Number(process.versions.node.split('.')[0]) < 22) {
    const { code, stderr } = await home.run('apply', 'rcluster.config.ts');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`a configuration in TypeScript needs Node 22.6 or newer, and this is ${process.version}`)]);
  }
});

test.each([
  ['a.config.js', 'module.exports = {\n  apps: [{ name: "x" script: "a.js" }],\n}', /a\.config\.js: line 2: Unexpected identifier/],
  ['a.config.js', '\n\nthrow new Error("no database")', /a\.config\.js: line 3: no database/],
  ['a.config.mjs', 'import "./missing.mjs";', /a\.config\.mjs: .*missing\.mjs/],
  ['a.json', '{\n  "apps": [\n    { "name" "x" }\n  ]\n}', /a\.json: line 3: /],
  ['a.yaml', 'apps:\n  - name: x\n   script: a.js\n', /a\.yaml: line \d: /],
  ['a.yaml', 'apps: 5', /a\.yaml: there must be a list of apps/],
  ['a.json', '{ "apps": [{ "name": "x", "script": "a.js", "env_file": "none.env" }] }', /app 1 \("x"\): "env_file" cannot be read: ENOENT/],
  ['a.json', '{ "apps": [{ "name": "x", "script": "a.js", "instences": 2 }] }', /app 1 \("x"\): there is no key "instences": did you mean "instances"\?/],
  ['a.json', '{ "apps": [{ "name": "x", "script": "a.js", "args": 5 }] }', /app 1 \("x"\): "args" must be a text, or a list of texts. Received 5/],
  ['a.json', ' \n', /a\.json: is empty\n/],
  ['a.json', '{\n  "apps": [{ "script": "a.js" }', /a\.json: ends too soon: a bracket or a quote is not closed\n/],
  ['a.config.js', 'require("./none")', /a\.config\.js: line 1: Cannot find module '\.\/none'\n/],
  ['a.json', '{ "apps": [{ "name": "x", "script": "a.js", "sockets": ["tcp:99999"] }] }', /^rcluster: app 1 \("x"\): "sockets" must be such as /],
  ['a.json', '{ "apps": [null] }', /app 1: must be an object. Received null/],
])('%s with %j is refused, with its place', async (name, text, message) => {
  const home = new Home();
  home.write('a.js', SLEEP);
  home.write(name, text);
  const { code, stderr } = await home.run('start', name);
  expect([code, stderr.trim().split('\n').length]).toEqual([1, 1]);
  expect(stderr).toMatch(message);
});

test('a sample is written once, in the words of the folder', async () => {
  const home = new Home();
  home.write('app.js', SLEEP);
  await home.run('init');
  expect((await home.run('apply', '--dry-run', '--env', 'production')).stdout).toBe('app would start\n');
  expect(await home.run('ecosystem')).toMatchObject({ code: 1, stderr: 'rcluster: there is a file "ecosystem.config.js" already\n' });
  home.write('package.json', '{ "type": "module" }');
  fs.unlinkSync(path.join(home.folder, 'ecosystem.config.js'));
  await home.run('init');
  expect((await home.run('apply', '--dry-run')).stdout).toBe('app would start\n');
});
