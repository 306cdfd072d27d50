'use strict';

// `rcluster upgrade`: another primary, which its keeper follows as if it had started it.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { childrenOf, isAlive } = require('../helpers/proc');
const { request, waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** Says its pid, and how long it is to think. `VERSION` is of its environment. */
const SERVER = `
  const http = require('http');
  http.createServer((asked, answer) => setTimeout(() => answer.end(String(process.pid)), Number(asked.url.slice(2)) || 0)).listen(0, '127.0.0.1', function () {
    require('fs').writeFileSync('port', String(this.address().port));
    console.log('version ' + process.env.VERSION + ' pid ' + process.pid);
  });`;

/** @param {string[]} words What is started, if not two workers. */
async function start(...words) {
  const home = new Home();
  const file = home.write('web.js', SERVER);
  home.write('watched.config.js', 'module.exports = { apps: [{ name: "web", script: "web.js", exec_mode: "cluster", instances: 2, watchdog: "2s" }] };');
  const began = await home.run('start', ...(words.length > 0 ? words : ['web.js', '-i', '2']));
  expect(began).toMatchObject({ code: 0 });
  const port = Number(fs.readFileSync(path.join(home.folder, 'port'), 'utf8'));
  const app = async () => (await home.manager.list())[0];
  return { home, file, port, app, primary: async () => (await app()).processes[0] };
}

/** Clients that ask on. @type {Set<{ isOver: boolean }>} */
const asking = new Set();
afterEach(() => {
  for (const seen of asking) seen.isOver = true;
  asking.clear();
});

/** One request after the other, each over a connection of its own. @param {number} port */
function client(port) {
  const seen = { pids: new Set(), failed: /** @type {string[]} */ ([]), isOver: false };
  const ask = () => new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    const failed = (/** @type {any} */ error) => {
      seen.failed.push(error.code ?? error.message);
      resolve();
    };
    http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.on('data', (part) => (body += part));
      response.on('error', failed);
      response.on('end', () => {
        seen.pids.add(Number(body));
        resolve();
      });
    }).on('error', failed);
  });
  asking.add(seen);
  const done = (async () => {
    while (!seen.isOver) await ask();
  })();
  return { seen, stop: async () => { seen.isOver = true; await done; return seen; } };
}

/**
 * Begins one whose workers do not listen before there is a file `go`: gives the next primary's pid.
 *
 * @param {Awaited<ReturnType<typeof start>>} service
 * @param {{ isHeld?: boolean, env?: NodeJS.ProcessEnv }} [how] Whether it starts no workers yet, and what it has in its environment.
 */
async function begin({ home, app }, { isHeld = false, env } = {}) {
  home.write('web.js', `const look = () => require('fs').existsSync('go') ? serve() : setTimeout(look, 20); look(); function serve() {${SERVER}}`);
  const outcome = home.runWith({ env }, 'upgrade', 'web', ...(env ? ['--update-env'] : []));
  const next = await waitFor('the next primary', async () => {
    const { processes: [primary] } = await app();
    const all = fs.readFileSync(`/proc/${primary.pid}/task/${primary.pid}/children`, 'utf8').trim().split(' ').map(Number);
    const isPrimary = (/** @type {number} */ pid) => fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('rcluster.js');
    return primary.upgrading && all.find(isPrimary);
  });
  // It has all that it is given.
  if (!isHeld) await waitFor('its workers', () => childrenOf(next).length === 2);
  return { outcome, next };
}

test('no request fails; the keeper follows the new primary: its pid, workers, boards, logs, channel and end', async () => {
  const service = await start();
  const { home, port, app, primary } = service;
  const before = await app();
  const { stop } = client(port);
  const { code, stdout } = await home.run('upgrade', 'web');
  expect(code).toBe(0);
  const [, newPid, oldPid] = /^web: (\d+) has followed (\d+), with rcluster \S+ and Node v\S+, in \d+ ms; connections moved: \d+, finished: \d+, cut: 0\n$/.exec(stdout) ?? [];
  const after = await primary();
  expect([Number(oldPid), Number(newPid)]).toEqual([before.processes[0].pid, after.pid]);
  expect(after).toMatchObject({ state: 'online', upgrading: false, restarts: 0, lastError: null });
  await waitFor('the end of the old one', () => !isAlive(Number(oldPid)));
  const { workers } = await waitFor('new workers with boards', async () => {
    const now = await app();
    return now.workers.length === 2 && now.workers.every(({ stats }) => stats) && now;
  });
  const old = before.workers.map(({ pid }) => pid);
  for (const { pid, seat } of workers) {
    expect(old).not.toContain(pid);
    await waitFor('what it has written', () => home.log(`web-out-${seat}.log`).includes(`pid ${pid}\n`));
  }
  await waitFor('what the new primary says', () => home.log('web-error.log').includes('this is the primary now'));
  // Both directions of the new one's channel.
  expect((await home.run('scale', 'web', '3')).code).toBe(0);
  expect((await home.run('reload', 'web')).stdout).toMatch(/^web: 3 workers replaced/);
  expect((await home.run('upgrade', 'web')).code).toBe(0);
  const last = await waitFor('three workers', async () => {
    const now = await app();
    return now.workers.length === 3 && now.workers.every(({ state }) => state === 'ready') && now;
  });
  expect((await stop()).failed).toEqual([]);
  await home.run('stop', 'web');
  expect(await primary()).toMatchObject({ state: 'stopped', restarts: 0, exitCode: 0 });
  for (const { pid } of last.workers) expect(isAlive(Number(pid))).toBe(false);
}, 60_000);

test('the interpreter is found anew, and with --update-env the environment is this one', async () => {
  const home = new Home();
  home.write('web.js', SERVER);
  const node = path.join(home.folder, 'node');
  fs.symlinkSync(process.execPath, node);
  await home.runWith({ env: { VERSION: 'one' } }, 'start', 'web.js', '-i', '1', '--interpreter', node);
  fs.unlinkSync(node);
  const failed = await home.run('upgrade', 'web');
  expect([failed.code, failed.stderr]).toEqual([1, `rcluster: there is no interpreter "${node}"\n`]);
  const other = path.join(home.folder, 'other');
  fs.symlinkSync(process.execPath, other);
  fs.symlinkSync(other, node);
  await home.run('upgrade', 'web');
  await waitFor('a line of the second worker', () => (home.log('web-out.log').match(/version one/g) ?? []).length === 2);
  await home.runWith({ env: { VERSION: 'two' } }, 'upgrade', 'web', '--update-env');
  await waitFor('the new environment', () => home.log('web-out.log').includes('version two'));
});

test('a new version that does not work is refused with the reason, and all is as before', async () => {
  const { home, file, app } = await start();
  const before = await app();
  fs.writeFileSync(file, 'throw new Error("of the new version")');
  const { code, stderr } = await home.run('upgrade', 'web');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^rcluster: The upgrade failed, the old primary goes on: .*has a worker that died: \d+ exited with code 1; [^]*of the new version/);
  const { processes: [primary], workers } = await app();
  expect(primary).toMatchObject({ pid: before.processes[0].pid, upgrading: false, restarts: 0, state: 'online' });
  expect(workers.map(({ pid }) => pid)).toEqual(before.workers.map(({ pid }) => pid));
  fs.writeFileSync(file, SERVER);
  expect((await home.run('upgrade', 'web')).code).toBe(0);
});

test('a primary that is killed during an upgrade is followed by the one that it has started, and no other', async () => {
  const service = await start();
  const { home, port, app, primary } = service;
  const { stop } = client(port);
  const { pid } = await primary();
  const { outcome, next } = await begin(service);
  expect((await home.run('list')).stdout).toMatch(/ upgrading /);
  process.kill(Number(pid), 'SIGKILL');
  home.write('go', '');
  const { code, stderr } = await outcome;
  expect([code, stderr]).toEqual([1, `rcluster: the primary that was asked has died; ${next} has taken its place\n`]);
  await waitFor('its workers', async () => {
    const { workers } = await app();
    return workers.length === 2 && workers.every(({ state }) => state === 'ready');
  });
  expect(await primary()).toMatchObject({ pid: next, restarts: 0, state: 'online', upgrading: false });
  const { failed } = await stop();
  // What the killed one's workers had taken they finish, as they do whenever a primary is killed.
  expect(failed).toEqual([]);
  expect((await home.run('reload', 'web')).code).toBe(0);
}, 60_000);

test('a primary that is killed before it has given its sockets is followed by one that has them from the keeper', async () => {
  const service = await start();
  const { home, port, primary } = service;
  const { pid } = await primary();
  const hold = home.write('hold.js', `
    const isThere = () => process.env.RCLUSTER_UPGRADE && require('fs').existsSync('hold');
    while (isThere()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);`);
  home.write('hold', '');
  home.write('go', '');
  const { outcome, next } = await begin(service, { isHeld: true, env: { NODE_OPTIONS: `--require ${hold}` } });
  process.kill(Number(pid), 'SIGKILL');
  expect((await outcome).stderr).toBe(`rcluster: the primary that was asked has died; ${next} has taken its place\n`);
  // Waits for somebody who listens there.
  const answer = request(port);
  fs.rmSync(path.join(home.folder, 'hold'));
  expect((await answer).status).toBe(200);
  await waitFor('a third one', async () => {
    const now = await primary();
    return now.pid !== next && now.pid !== pid && now.state === 'online' && now.restarts === 1;
  });
}, 60_000);

test('a new primary that is killed later is started again as any other, and its sockets are kept', async () => {
  const { home, port, primary } = await start();
  await home.run('upgrade', 'web');
  const { pid } = await primary();
  const { stop } = client(port);
  process.kill(Number(pid), 'SIGKILL');
  await waitFor('the next one', async () => {
    const now = await primary();
    return now.pid !== pid && now.state === 'online' && now.restarts === 1;
  });
  expect((await stop()).failed.filter((code) => code === 'ECONNREFUSED')).toEqual([]);
});

test('a stop during an upgrade ends both primaries; so does a restart, after which one runs', async () => {
  const service = await start();
  const { home, primary } = service;
  const first = await begin(service);
  await home.run('stop', 'web');
  expect(await primary()).toMatchObject({ state: 'stopped' });
  expect(isAlive(first.next)).toBe(false);
  expect((await first.outcome).code).toBe(1);
  home.write('go', '');
  await home.run('start', 'web');
  const { pid } = await primary();
  fs.rmSync(path.join(home.folder, 'go'));
  const second = await begin(service);
  const restarted = home.run('restart', 'web');
  home.write('go', '');
  await restarted;
  expect([isAlive(second.next), isAlive(Number(pid)), (await primary()).state]).toEqual([false, false, 'online']);
  await second.outcome;
}, 60_000);

test('when an upgrade is refused, nobody is about to follow the primary any more, even if the end of that one takes its time', async () => {
  const { home, primary } = await start();
  const heavy = home.write('heavy.js', 'if (process.env.RCLUSTER_UPGRADE) global.heavy = Buffer.alloc(300 << 20, 1);');
  home.write('web.js', 'process.exit(3)');
  const { code } = await home.runWith({ env: { NODE_OPTIONS: `--require ${heavy}` } }, 'upgrade', 'web', '--update-env');
  expect(code).toBe(1);
  const events = home.manager.upgrade('web').then(() => undefined, (error) => error);
  expect((await events).code).toBe('ERR_RCLUSTER_UPGRADE_FAILED');
  expect((await primary()).upgrading).toBe(false);
});

test('a new primary that hangs later is ended by its watchdog, and another one starts', async () => {
  const { home, port, primary } = await start('watched.config.js');
  expect((await home.run('upgrade', 'web')).code).toBe(0);
  const { pid, startedAt } = await primary();
  await waitFor('the time in which it has to say something', () => Date.now() > Number(startedAt) + 3500);
  // It has said that it lives.
  expect(await primary()).toMatchObject({ pid, restarts: 0 });
  process.kill(Number(pid), 'SIGSTOP');
  await waitFor('another one', async () => {
    const now = await primary();
    return now.pid !== pid && now.state === 'online' && now.restarts === 1;
  });
  expect((await request(port)).status).toBe(200);
});

test('a worker, or what it has started, cannot say that it is the primary, or the next one', async () => {
  const { home, app, primary } = await start();
  home.write('web.js', `
    const { NOTIFY_SOCKET } = Object.fromEntries(require('fs').readFileSync('/proc/' + process.ppid + '/environ', 'utf8').split('\\0').map((text) => text.split(/=(.*)/s)));
    const { load } = require(${JSON.stringify(require.resolve('../../lib/native.js'))});
    const tell = (text, fds) => load().notify(NOTIFY_SOCKET, text, fds);
    const { pid } = require('child_process').spawn('sleep', ['1000']);
    require('http').createServer((asked, answer) => {
      const told = [tell('MAINPID=' + process.pid), tell('MAINPID=' + pid), tell('RCLUSTER_NEXT=' + pid, load().streamPair()), tell('MAINPID=' + pid), tell('STATUS=told')];
      answer.end(JSON.stringify(told));
    }).listen(0, '127.0.0.1', function () { require('fs').writeFileSync('port', String(this.address().port)); });`);
  expect((await home.run('reload', 'web')).code).toBe(0);
  const { pid } = await primary();
  const { body } = await request(Number(fs.readFileSync(path.join(home.folder, 'port'), 'utf8')));
  for (const said of JSON.parse(body)) expect(said).toBeGreaterThanOrEqual(0);
  await waitFor('what was told last', async () => (await primary()).statusText === 'told');
  expect(await primary()).toMatchObject({ pid, upgrading: false, state: 'online', restarts: 0 });
  expect((await app()).workers).toHaveLength(2);
});

test('a program has no primary', async () => {
  const home = new Home();
  home.write('sleep.js', 'setInterval(() => {}, 1000)');
  await home.run('start', 'sleep.js');
  const { code, stderr } = await home.run('upgrade', 'sleep');
  expect([code, stderr]).toEqual([1, 'rcluster: "sleep" is no cluster: it has no primary, reload or restart it instead\n']);
});

test('an upgrade of one that does not run starts it', async () => {
  const { home, primary } = await start();
  await home.run('stop', 'web');
  expect((await home.run('upgrade', 'web')).stdout).toBe('web: it did not run, and was started\n');
  expect((await primary()).state).toBe('online');
});
