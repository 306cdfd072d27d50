'use strict';

// Every verb as somebody types it, for a program and for a cluster.

const fs = require('node:fs');
const path = require('node:path');

const { NAMES } = require('../../manager/cli/verbs.js');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');

/** Verbs to which it makes no difference what an app is, or that have no app: each has tests of its own. */
const OF_NO_MODE = new Set(['completion', 'events', 'help', 'init', 'monit', 'run', 'startup', 'unstartup', 'upgrade', 'web']);

const SERVER = `
  process.on('message', (message) => console.log('message', JSON.stringify(message), process.pid));
  process.on('SIGUSR2', () => console.log('signal', process.pid));
  require('node:http').createServer((request, response) => response.end()).listen(0, '127.0.0.1', () => {
    console.log('up', process.env.STAGE, process.argv.slice(2).join());
    process.send?.('ready');
  });`;

test.each(['fork', 'cluster'])('%s', async (mode) => {
  const home = new Home();
  const isCluster = mode === 'cluster';
  home.write('server.js', SERVER);
  home.write('ecosystem.config.js', `module.exports = { apps: [{ name: 'api', script: 'server.js', args: 'one', exec_mode: '${mode}', instances: 2, wait_ready: true, env: { STAGE: 'first' }, env_production: { STAGE: 'production' } }] }`);
  /** @type {Set<string>} */
  const tried = new Set();
  /** What a verb prints; it has to succeed. @param {...string} words */
  const type = async (...words) => {
    tried.add(words[0]);
    const { code, stdout, stderr } = await home.run(...words);
    expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: expect.not.stringMatching(/^rcluster: (?!"|there is nothing)/) });
    return stdout;
  };
  const list = async () => (await home.manager.list())[0];
  /** Those that do the work. */
  const pids = async () => {
    const { processes, workers } = await list();
    return (isCluster ? workers : processes).map(({ pid }) => Number(pid));
  };
  const others = async (/** @type {number[]} */ before, count = before.length) => {
    const now = await pids();
    expect({ now, before, count: now.length, same: now.filter((pid) => before.includes(pid)) }).toEqual({ now, before, count, same: [] });
    return now;
  };
  const states = async () => [...new Set((await list()).processes.map(({ state }) => state))];
  const logs = () => {
    const folder = path.join(home.path, 'logs');
    return fs.readdirSync(folder).filter((file) => /^api-out.*log$/.test(file)).map((file) => home.log(file)).join('');
  };
  const written = (/** @type {RegExp} */ pattern, count = 2) => waitFor(() => (logs().match(new RegExp(pattern, 'gm')) ?? []).length >= count, { message: `${count} times ${pattern}` });

  await type('start', 'ecosystem.config.js');
  let now = await pids();
  expect([(await list()).mode, now.length, await states()]).toEqual([isCluster ? 'cluster' : 'program', 2, ['online']]);
  await written(/^up first one$/);

  // What reads.
  const [listed, jlist, pretty, described, env, id, pid, health] = await Promise.all([
    type('list'), type('jlist'), type('prettylist'), type('describe', 'api'), type('env', '0'), type('id', 'api'), type('pid', 'api'), type('health', 'api'), type('ping'),
  ]);
  expect(listed).toMatch(isCluster ? /^0 +api .* cluster .* online /m : /^1 +api .* program .* online /m);
  const shapes = JSON.parse(jlist);
  expect(shapes.map(({ pm_id: number, pid: own, pm2_env: { status, exec_mode: execMode } }) => [number, own, status, execMode])).toEqual(now.map((own, index) => [index, own, 'online', `${mode}_mode`]));
  expect(pretty).toContain(`exec_mode: '${mode}_mode'`);
  expect(described).toMatch(/^status +online$/m);
  expect([/^STAGE: (.*)$/m.exec(env)?.[1], id, pid]).toEqual(['first', '[ 0, 1 ]\n', `${now.join('\n')}\n`]);
  expect(health).toBe(isCluster ? 'api: 2 of 2 workers ready\n' : 'api: 2 of 2 online\n');

  // What is told to processes: to all, and to one by its number.
  await Promise.all([type('send', 'api', '{"to":"all"}'), type('send', '1', 'to one'), type('sendSignal', 'SIGUSR2', 'api')]);
  for (const one of now) {
    await written(new RegExp(`^message \\{"to":"all"\\} ${one}$`), 1);
    await written(new RegExp(`^signal ${one}$`), 1);
  }
  await written(new RegExp(`^message "to one" ${now[1]}$`), 1);
  tried.add('attach');
  const [attached] = await Promise.all([home.runWith({ input: 'typed\n' }, 'attach', isCluster ? 'api' : '0'), type('sendSignal', 'USR2', '0')]);
  expect(attached).toMatchObject(isCluster ? { code: 1, stderr: 'rcluster: "api" is a cluster: its workers read no input\n' } : { code: 0 });
  await written(new RegExp(`^signal ${now[0]}$`));
  expect(logs()).not.toMatch(new RegExp(`^message "to one" ${now[0]}$`, 'm'));

  // Logs.
  expect(await type('logs', 'api', '--nostream', '--lines', '100')).toMatch(/up first one/);
  for (const file of fs.readdirSync(path.join(home.path, 'logs'))) fs.renameSync(path.join(home.path, 'logs', file), path.join(home.path, `moved-${file}`));
  await type('reloadLogs');
  await type('sendSignal', 'SIGUSR2', 'api');
  await written(/^signal \d+$/);
  await type('flush', 'api');
  expect(logs()).toBe('');

  // What starts anew.
  expect(await type('reload', 'api')).toMatch(isCluster ? /^api: 2 workers replaced in / : /^api: its instances were started anew, one after the other\n$/);
  now = await others(now);
  await type('restart', 'api');
  now = await others(now);
  expect((await list()).processes[0].restarts).toBeGreaterThan(0);
  await type('reset', 'api');
  expect((await list()).processes.map(({ restarts }) => restarts)).toEqual(isCluster ? [0] : [0, 0]);
  await type('startOrRestart', 'ecosystem.config.js');
  now = await others(now);
  await type('startOrReload', 'ecosystem.config.js', '--env', 'production');
  now = await others(now);
  await written(/^up production one$/);
  await type('apply', 'ecosystem.config.js', '--env', 'production');
  expect(await pids()).toEqual(now);

  // How many.
  await type('scale', 'api', '+1');
  await waitFor(async () => (await pids()).length === 3, { message: 'three' });
  await type('scale', 'api', '1');
  await waitFor(async () => (await pids()).length === 1, { message: 'one' });
  await type('apply', 'ecosystem.config.js', '--env', 'production');
  await waitFor(async () => (await pids()).filter(Boolean).length === 2, { message: 'two' });
  now = await pids();

  // The daemon.
  await type('update');
  expect(await pids()).toEqual(now);
  expect(await type('save')).toBe('saved 1 app\n');
  await type('kill');
  await type('resurrect');
  await others(now);
  await type('stop', 'api');
  expect(await states()).toEqual(['stopped']);
  // As what is meant by all may be stopped.
  await type('sendSignal', 'SIGUSR2', 'all');
  await type('cleardump');
  await type('delete', 'api');
  await type('resurrect');
  expect(await home.manager.list()).toEqual([]);

  expect(Object.keys(NAMES).filter((verb) => !tried.has(verb) && !OF_NO_MODE.has(verb))).toEqual([]);
}, 120_000);
