'use strict';

// What the clock does: runs of programs that end, and starting anew.

const fs = require('node:fs');
const path = require('node:path');

const { testWith } = require('../helpers/needs');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');

/** Each second. */
const OFTEN = '* * * * * *';
const RUN = 'require("node:fs").appendFileSync("runs", `${process.pid}\\n`);';
const runs = (/** @type {Home} */ home) => {
  const file = path.join(home.folder, 'runs');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
};
/** @param {Home} home @param {object} app */
const config = (home, app) => home.write('ecosystem.config.json', JSON.stringify({ apps: [{ name: 'job', script: 'job.js', ...app }] }));

test('a job runs when it is time and not before, also while the daemon is dead, and not when it is stopped', async () => {
  const home = new Home();
  home.write('job.js', RUN);
  config(home, { cron: '0 0 1 1 *', cron_timezone: 'UTC' });
  await home.run('start');
  const [{ nextRun, processes: [{ state }] }] = await home.json('list');
  const next = new Date(nextRun);
  expect([state, next.getUTCMonth(), next.getUTCDate(), next.getUTCHours(), runs(home)]).toEqual(['stopped', 0, 1, 0, []]);
  config(home, { cron: OFTEN });
  await home.run('start');
  await waitFor(() => runs(home).length >= 2);
  process.kill(home.daemonPid(), 'SIGKILL');
  const before = runs(home).length;
  await waitFor(() => runs(home).length >= before + 2);
  await home.run('stop', 'job');
  const stopped = runs(home).length;
  // Its timer has come again by then.
  const [{ nextRun: then }] = await home.json('list');
  await waitFor(async () => (await home.json('list'))[0].nextRun > then);
  expect(runs(home).length).toBe(stopped);
  config(home, { cron: OFTEN, cron_when_stopped: true });
  await home.run('apply');
  await waitFor(() => runs(home).length > stopped);
}, 40_000);

testWith('/usr/share/zoneinfo/Asia/Kolkata')('times are those of the zone that is named', async () => {
  const home = new Home();
  home.write('job.js', RUN);
  config(home, { cron: '15 3 1 1 *', cron_timezone: 'Asia/Kolkata' });
  expect(await home.run('start')).toMatchObject({ code: 0, stderr: '' });
  const next = new Date((await home.json('list'))[0].nextRun);
  // Half past five ahead of UTC, in winter and in summer.
  expect([next.getUTCMonth(), next.getUTCDate(), next.getUTCHours(), next.getUTCMinutes()]).toEqual([11, 31, 21, 45]);
});

test('a run that takes longer is let alone; restart begins one at once', async () => {
  const home = new Home();
  home.write('job.js', `${RUN} setInterval(() => {}, 1e6);`);
  config(home, { cron: OFTEN });
  await home.run('start');
  await waitFor(() => runs(home).length === 1);
  const [{ nextRun }] = await home.json('list');
  await waitFor(async () => (await home.json('list'))[0].nextRun > nextRun + 1000);
  expect(runs(home).length).toBe(1);
  config(home, { cron: '0 0 1 1 *' });
  await home.run('apply');
  await home.run('restart', 'job');
  await waitFor(() => runs(home).length === 2);
}, 40_000);

test('cron_restart starts anew what runs and what has ended by itself, and not what was stopped', async () => {
  const home = new Home();
  home.write('job.js', `${RUN} setInterval(() => {}, 1e6);`);
  home.write('ends.js', 'require("node:fs").appendFileSync("ended", "x")');
  await home.run('start', 'job.js', '--cron-restart', OFTEN);
  await home.run('start', 'ends.js', '-c', OFTEN, '--no-autorestart');
  await waitFor(() => runs(home).length >= 3 && fs.readFileSync(path.join(home.folder, 'ended'), 'utf8').length >= 3);
  await home.run('stop', 'all');
  const [{ nextRun }] = await home.json('list');
  await waitFor(async () => (await home.json('list')).every((/** @type {any} */ app) => app.nextRun > nextRun));
  expect((await home.json('list')).map((/** @type {any} */ app) => app.processes[0].state)).toEqual(['stopped', 'stopped']);
}, 40_000);

test('a cluster is reloaded, and its primary stays', async () => {
  const home = new Home();
  home.write('job.js', 'require("node:http").createServer((_, res) => res.end(String(process.pid))).listen(0)');
  await home.run('start', 'job.js', '-i', '1', '--cron-restart', OFTEN);
  const one = async () => (await home.json('list'))[0];
  const [first] = (await one()).workers;
  await waitFor(async () => (await one()).workers.some((/** @type {any} */ { pid, state }) => pid !== first.pid && state === 'ready'));
  expect((await one()).processes[0].restarts).toBe(0);
}, 40_000);

test.each([
  [{ cron: 'at three' }, /"cron" must be a line of cron such as "0 3 \* \* \*": .*Received "at three"/],
  [{ cron_restart: '0 0 30 2 *' }, /"cron_restart" must be a line of cron such as "0 3 \* \* \*" whose time comes. Received "0 0 30 2 \*"/],
  [{ cron: OFTEN, cron_timezone: 'Europe/Berlim' }, /"cron_timezone" must be a time zone that there is, such as "Europe\/Berlin".*Received "Europe\/Berlim"/],
  [{ cron: OFTEN, exec_mode: 'cluster' }, /"cron" must be for a program that ends: a cluster has "cron_restart"/],
  [{ cron: OFTEN, cron_restart: OFTEN }, /"cron_restart" must not be given with "cron"/],
  [{ cron: 7 }, /"cron" must be a line of cron such as '0 3 \* \* \*'. Received 7/],
])('%j is refused in one line, and what runs is as it was', async (app, line) => {
  const home = new Home();
  home.write('job.js', 'setInterval(() => {}, 1e6)');
  await home.run('start', 'job.js');
  const [{ processes: [{ pid }] }] = await home.json('list');
  config(home, app);
  const { code, stdout, stderr } = await home.run('start');
  expect([code, stdout, stderr.trim().split('\n').length]).toEqual([1, '', 1]);
  expect(stderr).toMatch(line);
  expect((await home.json('list'))[0].processes[0]).toMatchObject({ pid, state: 'online' });
});
