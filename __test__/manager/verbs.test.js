'use strict';

// The verbs, as somebody uses them who has typed `pm2` so far.

const fs = require('node:fs');
const path = require('node:path');

const { freePort } = require('../helpers/free_port');
const { ofFolder } = require('../helpers/leftovers');
const { isAlive } = require('../helpers/proc');
const { request, waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const SLEEP = 'setInterval(() => {}, 1e6)';

test('a script runs until it is stopped, and stays listed', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  expect((await home.run('start', 'sleep.js')).code).toBe(0);
  const [{ name, processes: [started] }] = await home.json('list');
  expect([name, started.state, isAlive(started.pid)]).toEqual(['sleep', 'online', true]);
  await home.run('stop', 'sleep');
  const [{ processes: [stopped] }] = await home.json('list');
  expect([stopped.state, stopped.pid, stopped.id]).toEqual(['stopped', null, started.id]);
  expect(isAlive(started.pid)).toBe(false);
  await home.run('start', 'sleep');
  expect((await home.json('list'))[0].processes[0].state).toBe('online');
  await home.run('delete', 'sleep');
  expect(await home.json('list')).toEqual([]);
});

test('health of an app says whether it takes requests', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  home.write('server.js', "require('node:http').createServer((request, response) => response.end()).listen(0);");
  await home.run('start', 'sleep.js');
  await home.run('start', 'server.js', '-i', '2');
  expect(await home.run('health', 'server')).toMatchObject({ code: 0, stdout: 'server: 2 of 2 workers ready\n' });
  expect(await home.run('health', 'sleep')).toMatchObject({ code: 0, stdout: 'sleep: 1 of 1 online\n' });
  await home.run('stop', 'server');
  expect(await home.run('health', 'server')).toMatchObject({ code: 1, stdout: expect.stringContaining('server: 0 of') });
  expect((await home.run('health', 'nobody')).code).toBe(1);
});

test('a daemon that is killed leaves everything running, and the next one finds it', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  process.kill(home.daemonPid(), 'SIGKILL');
  const [after] = await home.json('list');
  expect([after.keeper, after.processes[0].pid, after.processes[0].restarts]).toEqual([keeper, pid, 0]);
});

test('what crashes is started again, while no daemon is there as well', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js', '--min-uptime', '1');
  const pids = async () => (await home.json('list'))[0].processes.map((/** @type {any} */ one) => one.pid);
  const [first] = await pids();
  process.kill(home.daemonPid(), 'SIGKILL');
  process.kill(first, 'SIGKILL');
  const again = await waitFor('another process', async () => {
    const [pid] = await pids();
    return pid !== first && pid !== null && pid;
  });
  expect(isAlive(again)).toBe(true);
});

test('a crash loop ends, and says so', async () => {
  const home = new Home();
  home.write('crash.js', 'process.exit(3)');
  const { stderr } = await home.run('start', 'crash.js', '--max-restarts', '3', '--min-uptime', '1000');
  const [{ processes: [crashed] }] = await waitFor('errored', async () => {
    const apps = await home.json('list');
    return apps[0].processes[0].state === 'errored' && apps;
  });
  expect([crashed.exitCode, crashed.unstableRestarts]).toEqual([3, 3]);
  expect(`${stderr}${crashed.lastError}`).toContain('ended too soon 3 times in a row');
});

test('a Node server runs over several workers, is reloaded and scaled', async () => {
  const home = new Home();
  home.write('web.js', `require('http').createServer((q, s) => s.end(String(process.pid))).listen(0, function () { console.log('port', this.address().port); });`);
  await home.run('start', 'web.js', '-i', '2');
  const [, port] = await waitFor('the port', () => /port (\d+)/.exec(home.log('web-out-0.log')));
  expect((await request(port)).status).toBe(200);
  const pids = async () => (await home.json('list'))[0].workers.map((/** @type {any} */ one) => one.pid);
  const before = await waitFor('two workers', async () => (await pids()).filter(Boolean).length === 2 && pids());
  const { stdout } = await home.run('reload', 'web');
  expect(stdout).toMatch(/^web: 2 workers replaced in \d+ ms; connections moved: 0, finished: 0, cut: 0\n$/);
  expect((await pids()).filter((/** @type {number} */ pid) => before.includes(pid))).toEqual([]);
  await home.run('scale', 'web', '3');
  await waitFor('three workers', async () => (await pids()).length === 3);
  expect((await request(port)).status).toBe(200);
});

test('stopping an app ends all that it has started, daemons and what ignores signals', async () => {
  const home = new Home();
  home.write('parent.js', `
    const { spawn } = require('child_process');
    const child = spawn('sh', ['-c', 'trap "" INT TERM; setsid sh -c \\'trap "" INT TERM; echo grandchild $$; while :; do sleep 1; done\\' & echo child $$; while :; do sleep 1; done'], { stdio: 'inherit' });
    process.on('SIGINT', () => {}); process.on('SIGTERM', () => {});
    setInterval(() => {}, 1e6);`);
  await home.run('start', 'parent.js', '--kill-timeout', '100');
  const pids = await waitFor('both', () => {
    const found = [...home.log('parent-out.log').matchAll(/child (\d+)/g)].map(([, pid]) => Number(pid));
    return found.length === 2 && found;
  });
  await home.run('stop', 'parent');
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test.each([
  [['stop', 'nothing'], 1, 'rcluster: there is no app, number or namespace "nothing"\n'],
  [['stop'], 2, 'rcluster: stop: which app? Give a name, a number, a namespace, a pattern such as /api-.*/, a script, a configuration file, or all\n'],
  [['start', './missing.js'], 1, 'rcluster: there is no script "./missing.js"\n'],
  [['kill', 'sleep'], 2, 'rcluster: kill ends the daemon and all apps, and takes none: rcluster stop sleep, or rcluster delete sleep\n'],
  [['start', 'sleep.js', '--cwd', '/none'], 1, 'rcluster: there is no folder "/none" (--cwd)\n'],
  [['start', 'sleep.js', '--kill-timeout', 'soon'], 2, `rcluster: --kill-timeout must be a time in milliseconds, or such as '10s', '5m' or '1h'. Received "soon"\n`],
])('%j fails with one clear line', async (words, code, line) => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  expect(await home.run(...words)).toMatchObject({ code, stderr: line });
});

test('an interpreter that is not there is said to be so, and nothing else is harmed', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const { code, stderr } = await home.run('start', 'sleep.js', '-n', 'other', '--interpreter', 'no-such-thing');
  expect([code, stderr]).toEqual([1, 'rcluster: other (0): there is no interpreter "no-such-thing"\n']);
  expect((await home.json('list')).map((/** @type {any} */ app) => app.processes[0].state)).toEqual(['online', 'errored']);
});

test('a cluster whose script is not there is said to be so, at once', async () => {
  const home = new Home();
  home.write('e.config.js', "module.exports = { apps: [{ name: 'web', script: 'none.js', instances: 2, exec_mode: 'cluster' }, { name: 'short', script: 'server', instances: 1, exec_mode: 'cluster' }] }");
  home.write('server.js', "require('node:http').createServer(() => {}).listen(0, '127.0.0.1')");
  const { code, stderr } = await home.run('start', 'e.config.js');
  expect([code, stderr]).toEqual([1, `rcluster: web (0): there is no script "${home.folder}/none.js"\n`]);
  const shape = async () => (await home.json('list')).map((/** @type {any} */ { processes: [one] }) => [one.state, one.restarts]);
  expect(await shape()).toEqual([['errored', 0], ['online', 0]]);
  home.write('none.js', "require('node:http').createServer(() => {}).listen(0, '127.0.0.1')");
  expect(await home.run('start', 'web')).toMatchObject({ code: 0 });
});

test('what was saved comes back with its names and numbers after everything was ended', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  for (const name of ['a', 'b', 'c']) await home.run('start', 'sleep.js', '-n', name);
  await home.run('delete', 'a');
  const shape = async () => (await home.json('list')).map((/** @type {any} */ { name, processes }) => [name, processes[0].id, processes[0].state]);
  const before = await shape();
  await home.run('save');
  await home.run('kill');
  expect(await shape()).toEqual([]);
  await home.run('resurrect');
  expect(await shape()).toEqual(before);
  expect(before).toEqual([['b', 1, 'online'], ['c', 2, 'online']]);
});

test('kill has ended all when it says so', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  for (let round = 0; round < 3; round++) {
    await home.run('start', 'sleep.js', '-i', '2', '--exec-mode', 'fork');
    expect(ofFolder(home.folder).length).toBe(4);
    expect((await home.manager.kill(), ofFolder(home.folder))).toEqual([]);
  }
});

test('lines may be objects that say where they come from', async () => {
  const home = new Home();
  home.write('talk.js', `console.log('one'); console.error('two'); setInterval(() => {}, 1e6);`);
  home.write('ecosystem.config.js', `module.exports = { apps: [{ name: 'talk', script: 'talk.js', log_type: 'json' }] };`);
  await home.run('start', 'ecosystem.config.js');
  const [out, error] = await waitFor('both lines', () => {
    const lines = ['talk-out.log', 'talk-error.log'].map((name) => home.log(name).trim());
    return lines.every(Boolean) && lines.map((line) => JSON.parse(line));
  });
  const [{ processes: [{ pid }] }] = await home.json('list');
  expect(out).toMatchObject({ app: 'talk', instance: 0, pid, stream: 'out', msg: 'one' });
  expect(error).toMatchObject({ stream: 'error', msg: 'two' });
});

test('what uses more memory than it may, with all that it has started, starts anew', async () => {
  const home = new Home();
  home.write('large.js', `require('child_process').spawn(process.execPath, ['-e', 'globalThis.x = Buffer.alloc(100e6, 1); setInterval(() => {}, 1e6)']); setInterval(() => {}, 1e6);`);
  await home.run('start', 'large.js', '--max-memory-restart', '120M');
  const app = await waitFor('a restart', async () => {
    const [one] = await home.json('list');
    return one.processes[0].restarts > 0 && one;
  });
  expect(app.processes[0].unstableRestarts).toBe(0);
});

test('a worker of a cluster that uses more than it may ends when the next one serves: no request is refused, though it is the only one', async () => {
  const home = new Home();
  const port = await freePort();
  home.write('server.js', `
    const note = (what) => require('node:fs').appendFileSync('order', what + ' ' + process.pid + '\\n');
    process.on('exit', () => note('ends'));
    require('node:http').createServer((request, response) => {
      if (request.url === '/grow') globalThis.held = Buffer.alloc(200e6, 1);
      response.end(String(process.pid));
    }).listen(${port}, '127.0.0.1', () => note('serves'));`);
  await home.run('start', 'server.js', '-i', '1', '--max-memory-restart', '150M');
  // One that is refused ends the test.
  const get = async (/** @type {string} */ url) => (await request(port, { path: url })).body;
  const first = await get('/grow');
  const second = await waitFor('another worker', async () => {
    const pid = await get('/');
    return pid !== first && pid;
  });
  const order = () => fs.readFileSync(path.join(home.folder, 'order'), 'utf8').trim().split('\n');
  await waitFor('the end of the first', async () => (await get('/')) === second && order().length === 3);
  expect(order()).toEqual([`serves ${first}`, `serves ${second}`, `ends ${first}`]);
  const [{ processes, workers }] = await home.json('list');
  expect([processes[0].restarts, workers.length, workers[0].pid]).toEqual([0, 1, Number(second)]);
}, 60_000);

test('an ecosystem file starts what it says, and only what changed starts anew', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  const config = (/** @type {string} */ text) => home.write('ecosystem.config.js', `module.exports = { apps: [{ name: 'a', script: 'sleep.js' }, { name: 'b', script: './sleep.js', ${text} }] }`);
  config(`exec_mode: 'fork', instances: 2, env: { A: 1 }, env_production: { A: 'prod' }, vizion: true`);
  const { stderr } = await home.run('start', 'ecosystem.config.js', '--env', 'production');
  expect(stderr).toContain('"vizion" does nothing here');
  expect((await home.run('env', 'b')).stdout).toContain('A: prod\n');
  const pids = async () => (await home.json('list')).map((/** @type {any} */ app) => app.processes.map((/** @type {any} */ one) => one.pid));
  const [[a], b] = await pids();
  expect(b.length).toBe(2);
  config(`exec_mode: 'fork', instances: 2, env: { A: 2 }`);
  await home.run('start', 'ecosystem.config.js');
  const [[sameA], newB] = await pids();
  expect(sameA).toBe(a);
  expect(newB.filter((/** @type {number} */ pid) => b.includes(pid))).toEqual([]);
});

test.each([
  ['{ apps: [{ script: "sleep.js", max_memroy_restart: "1G" }] }', 'app 1: there is no key "max_memroy_restart": did you mean "max_memory_restart"?'],
  ['{ apps: [{ name: "x", script: "sleep.js", instances: "many" }] }', `app 1 ("x"): "instances" must be a whole number, or 'max'. Received "many"`],
  ['{ apps: [{ name: "x" }] }', 'app 1 ("x"): "script" is missing'],
  ['{ apps: [{ name: "x", script: "sleep.js" }, { name: "x", script: "sleep.js" }] }', 'two apps are called "x"'],
  ['{}', 'there must be a list of apps: module.exports = { apps: [...] }'],
])('a configuration of %s is refused', async (text, message) => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  home.write('ecosystem.config.js', `module.exports = ${text};`);
  const { code, stderr } = await home.run('start', 'ecosystem.config.js');
  expect([code, stderr.trim().endsWith(message)]).toEqual([1, true]);
});

test('an error in JSON is said to be at its line', async () => {
  const home = new Home();
  home.write('apps.json', '{ // a comment\n  "apps": [\n    { "script": "a.js" "name": "a" }\n  ]\n}');
  expect((await home.run('start', 'apps.json')).stderr).toMatch(/apps\.json: line 3: /);
});
