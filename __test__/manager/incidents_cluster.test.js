'use strict';

// What a cluster's primary sees happen, told to the command of on_event and to the webhook.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { waitFor } = require('../helpers/run');
const { Home } = require('./home');
const { receiver } = require('./receiver');

/** Says where it listens; a request can make it crash or hang. */
const SERVER = `
  const server = require('node:http').createServer((req, res) => {
    if (req.url === '/hang') for (;;);
    res.end(String(process.pid));
    if (req.url === '/crash') setImmediate(() => process.exit(4));
  });
  server.listen(0, '127.0.0.1', () => require('node:fs').writeFileSync('port', String(server.address().port)));`;

/** @param {object} app */
async function start(app) {
  const home = new Home();
  home.write('a.js', SERVER);
  home.write('ecosystem.config.json', JSON.stringify({ apps: [{ name: 'a', script: 'a.js', instances: 2, on_event: 'cat >> got', ...app }] }));
  expect(await home.run('start')).toMatchObject({ code: 0, stderr: '' });
  const file = path.join(home.folder, 'got');
  /** @returns {any[]} What the command has read. */
  const got = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []);
  const port = Number(fs.readFileSync(path.join(home.folder, 'port'), 'utf8'));
  const workers = async () => (await home.manager.list())[0].workers;
  const ask = (/** @type {string} */ url) => http.get({ port, host: '127.0.0.1', path: url, agent: false }, (response) => response.resume()).on('error', () => {});
  return { home, got, workers, ask };
}

test('a worker that hangs, and one that crashes: each is told once, with its number', async () => {
  const { got: sent, url } = await receiver(() => 200);
  const { got, workers, ask } = await start({ webhook: url, hang_timeout: 1000 });
  const before = await workers();
  ask('/hang');
  await waitFor(() => got().length === 1 && sent.length === 1);
  const [hung] = got();
  expect(hung).toEqual({ event: 'incident', kind: 'hang', app: 'a', namespace: 'default', instance: expect.any(Number), message: expect.any(String), at: expect.any(Number) });
  const { pid } = before[hung.instance];
  expect(hung.message).toMatch(new RegExp(`^worker ${pid} did not turn its event loop for 1\\d\\d\\d ms, and is ended$`));
  expect(JSON.parse(sent[0].body)).toEqual(hung);
  await waitFor(async () => (await workers()).every((/** @type {any} */ one) => one.state === 'ready' && one.pid !== pid));
  const after = await workers();
  ask('/crash');
  await waitFor(() => got().length === 2 && sent.length === 2);
  const [, crashed] = got();
  expect(crashed).toMatchObject({ kind: 'crash', message: `worker ${after[crashed.instance].pid} exited with code 4` });
  expect(sent.map(({ headers }) => headers['rcluster-event'])).toEqual(['hang', 'crash']);
}, 40_000);

test('a primary that was replaced; a reload and an upgrade that fail', async () => {
  const { home, got } = await start({});
  const upgraded = await home.json('upgrade', 'a');
  await waitFor(() => got().length === 1);
  expect(got()[0]).toMatchObject({ kind: 'upgraded', app: 'a', instance: null, message: expect.stringMatching(/^primary \d+ has taken the place of \d+: 0 connections moved, 0 ended by themselves, 0 were cut$/) });
  expect(upgraded).toBeDefined();
  home.write('a.js', 'throw new Error("broken")');
  expect((await home.run('reload', 'a')).code).toBe(1);
  await waitFor(() => got().length === 2);
  expect(got()[1]).toMatchObject({ kind: 'reload-failed', message: expect.stringContaining('broken') });
  expect((await home.run('upgrade', 'a')).code).toBe(1);
  await waitFor(() => got().length === 3);
  expect(got()[2]).toMatchObject({ kind: 'reload-failed', message: expect.stringMatching(/primary/) });
}, 60_000);
