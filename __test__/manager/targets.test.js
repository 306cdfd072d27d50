'use strict';

// Everything by which an app may be meant.

const fs = require('node:fs');
const path = require('node:path');

const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';

/** @param {Home} home @returns {Promise<Record<string, string>>} */
async function states(home) {
  const apps = await home.manager.list();
  return Object.fromEntries(apps.map((/** @type {any} */ { namespace, name, processes }) => [`${namespace}:${name}`, processes[0].state]));
}

test('names, numbers, namespaces, patterns, scripts, files, standard input, and several of them', async () => {
  const home = new Home();
  for (const name of ['a.js', 'b.js', 'c.js']) home.write(name, SLEEP);
  const config = home.write('shop.config.js', `module.exports = [
    { name: 'api', script: 'a.js', namespace: 'shop' }, { name: 'bot', script: 'b.js', namespace: 'shop' }, { name: 'api', script: 'c.js', namespace: 'blog' },
  ]`);
  await home.run('start', config);
  const [{ ids: [id] }] = await home.json('list');
  const all = ['shop:api', 'shop:bot', 'blog:api'];
  /** @type {[string[], string[], string?][]} */
  const cases = [
    [['api'], ['shop:api', 'blog:api']],
    [['blog:api'], ['blog:api']],
    [[String(id)], ['shop:api']],
    [['shop'], ['shop:api', 'shop:bot']],
    [['/^b/'], ['shop:bot']],
    [['c.js'], ['blog:api']],
    [['./b.js', 'blog'], ['shop:bot', 'blog:api']],
    [[config, '--only', 'bot'], ['shop:bot']],
    [['-'], ['shop:bot'], '[{ "name": "bot", "script": "b.js", "namespace": "shop" }]'],
    [['all'], all],
  ];
  for (const [words, meant, input] of cases) {
    expect((await home.runWith({ input }, 'stop', ...words)).code).toBe(0);
    const after = await states(home);
    expect([words, all.filter((name) => after[name] === 'stopped')]).toEqual([words, meant]);
    await home.manager.resume('all');
  }
}, 60_000);

test('a script means the app that runs it, wherever its folder is', async () => {
  const home = new Home();
  for (const folder of ['one', 'two']) {
    fs.mkdirSync(path.join(home.folder, folder));
    home.write(`${folder}/a.js`, SLEEP);
    await home.manager.start([{ name: folder, script: 'a.js', cwd: path.join(home.folder, folder) }]);
  }
  expect((await home.run('stop', 'two/a.js')).code).toBe(0);
  expect(await states(home)).toEqual({ 'default:one': 'online', 'default:two': 'stopped' });
});

test('what is not there is said, the others are done all the same, and the exit code is 1', async () => {
  const home = new Home();
  for (const name of ['a.js', 'b.js']) home.write(name, SLEEP);
  await home.run('start', 'a.js', 'b.js');
  const { code, stderr } = await home.run('stop', 'a', 'nothing', 'b');
  expect([code, stderr]).toEqual([1, 'rcluster: there is no app, number or namespace "nothing"\n']);
  expect(await states(home)).toEqual({ 'default:a': 'stopped', 'default:b': 'stopped' });
});

test('a worker of a cluster stands for its cluster', async () => {
  const home = new Home();
  home.write('server.js', 'require("http").createServer(() => {}).listen(0, "127.0.0.1")');
  await home.run('start', 'server.js', '-i', '2');
  const [{ ids, workers }] = await home.json('list');
  expect([ids.length, workers.length]).toEqual([2, 2]);
  await home.run('stop', String(ids[1]));
  expect(await states(home)).toEqual({ 'default:server': 'stopped' });
});
