'use strict';

// --watch: what changes in an app's folder starts it anew.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const { freePort } = require('../helpers/free_port');
const { testUnless } = require('../helpers/needs');
const { namespaces } = require('../helpers/rights');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';
/** Each start is a line of a file that is nowhere near. */
const noting = (/** @type {string} */ file, more = '') => `require("node:fs").appendFileSync(${JSON.stringify(file)}, "start\\n"); ${more}; ${SLEEP}`;

/** A home with an app in a folder of its own. */
class Watched extends Home {
  constructor() {
    super();
    this.app = path.join(this.folder, 'app');
    this.starts = path.join(this.folder, 'starts');
    fs.mkdirSync(this.app);
  }

  /** @param {string} name @param {string} text */
  put(name, text) {
    return this.write(path.join('app', name), text);
  }

  countStarts() {
    return fs.existsSync(this.starts) ? fs.readFileSync(this.starts, 'utf8').split('\n').length - 1 : 0;
  }

  /** @returns {Promise<any>} */
  async listed() {
    return (await this.json('list'))[0];
  }

  /** @param {string} name @param {(one: any) => boolean} condition */
  until(name, condition) {
    return waitFor(async () => condition(await this.listed()), { message: name });
  }
}

test('a change of a file that counts starts a program anew, once, and says which; others do not, nor does what is stopped', async () => {
  const home = new Watched();
  home.put('a.js', noting(home.starts));
  for (const folder of ['lib', 'tmp', '.git', 'node_modules']) fs.mkdirSync(path.join(home.app, folder));
  await home.run('start', 'a.js', '--cwd', 'app', '--watch', '--ignore-watch', 'tmp', '--output', 'out.log');
  await waitFor(() => home.countStarts() === 1);
  expect(await home.listed()).toMatchObject({ watching: { folders: 2, lastChange: null, suspended: false, problem: null } });
  for (const name of ['tmp/x', '.git/index', 'node_modules/x.js', '.a.js.swp', 'out.log.20260304-150607-089']) home.put(name, 'x');
  // As editors save, and in a folder that was not there.
  home.put('lib/b.js.tmp', 'x');
  fs.renameSync(path.join(home.app, 'lib/b.js.tmp'), path.join(home.app, 'lib/b.js'));
  await home.until('b.js', ({ watching }) => watching.lastChange === 'lib/b.js');
  await waitFor(() => home.countStarts() === 2);
  fs.mkdirSync(path.join(home.app, 'new'));
  await waitFor(() => home.countStarts() === 3);
  home.put('new/c.js', 'x');
  await waitFor(() => home.countStarts() === 4);
  expect(await home.listed()).toMatchObject({ processes: [{ restarts: 3, state: 'online' }], watching: { folders: 3, lastChange: 'new/c.js' } });
  await waitFor(() => fs.readFileSync(path.join(home.app, 'out.log'), 'utf8').includes('[rcluster] new/c.js has changed: it starts anew\n'));
  await home.run('stop', 'a');
  expect((await home.listed()).watching).toBe(null);
  home.put('a.js', noting(home.starts, '0'));
  await home.run('start', 'a');
  await waitFor(() => home.countStarts() === 5);
  home.put('a.js', noting(home.starts, '1'));
  await waitFor(() => home.countStarts() === 6);
  await home.run('restart', 'a', '--no-watch');
  expect([(await home.listed()).watching, (await home.json('describe', 'a'))[0].watch]).toEqual([null, []]);
}, 40_000);

test('one that could not be started is when it was mended, and instances follow one another, also while the daemon is dead', async () => {
  const home = new Watched();
  home.put('a.js', 'throw new Error("broken")');
  await home.run('start', 'a.js', '--cwd', 'app', '--watch', 'a.js', '--max-restarts', '1', '-i', '2', '--exec-mode', 'fork');
  await home.until('errored', ({ processes }) => processes.every((/** @type {any} */ { state }) => state === 'errored'));
  process.kill(home.daemonPid(), 'SIGKILL');
  home.put('a.js', noting(home.starts));
  await waitFor(() => home.countStarts() === 2);
  await home.until('online', ({ processes }) => processes.every((/** @type {any} */ { state }) => state === 'online'));
}, 40_000);

test('a cluster is reloaded: every request is answered, and what was put in place is served', async () => {
  const home = new Watched();
  const version = (/** @type {string} */ text) => `require('node:http').createServer((_, res) => res.end('${text}')).listen(process.env.PORT, '127.0.0.1')`;
  home.put('a.js', version('one'));
  const port = await freePort();
  const { code } = await home.runWith({ env: { PORT: String(port) } }, 'start', 'a.js', '--cwd', 'app', '-i', '2', '--watch');
  expect(code).toBe(0);
  const [{ pid }] = (await home.listed()).processes;
  home.put('a.js', version('two'));
  const answers = new Set();
  await waitFor(async () => {
    // One that is refused ends the test.
    answers.add(await get(port));
    return (await home.listed()).workers.every((/** @type {any} */ { restarts, state }) => state === 'ready' && restarts === 0) && (await get(port)) === 'two' && (await get(port)) === 'two';
  });
  expect([...answers].filter((text) => text !== 'one' && text !== 'two')).toEqual([]);
  expect(await home.listed()).toMatchObject({ processes: [{ pid, restarts: 0 }], watching: { lastChange: 'a.js' } });
}, 40_000);

test('an app that changes its own file each time that it starts is left alone, the path is named, and restart watches again', async () => {
  const home = new Watched();
  home.put('a.js', noting(home.starts, 'require("node:fs").writeFileSync("built.json", String(process.pid))'));
  await home.manager.ensureDaemon();
  const heard = home.spawn(['events', '--json']);
  let text = '';
  heard.stdout.on('data', (chunk) => (text += chunk));
  await waitFor(() => text.includes('hello'));
  await home.run('start', 'a.js', '--cwd', 'app', '--watch', '--watch-delay', '20ms');
  await home.until('suspended', ({ watching }) => watching.suspended);
  const starts = home.countStarts();
  // It began by itself; then there was a first change, and five that came soon.
  expect(starts).toBe(7);
  const line = /"watch": suspended, as it was started anew again and again for "built.json", which changes each time that it starts\. Name that in "ignore_watch", then: rcluster restart a/;
  await waitFor(() => text.includes('watch-suspended'));
  const incident = text.split('\n').filter(Boolean).map((one) => JSON.parse(one)).find(({ event }) => event === 'incident');
  expect(incident).toMatchObject({ kind: 'watch-suspended', app: 'a', message: expect.stringMatching(line) });
  expect((await home.run('list')).stderr).toMatch(line);
  await waitFor(() => line.test(home.log('a-error.log')));
  expect(await home.listed()).toMatchObject({ processes: [{ state: 'online' }], watching: { folders: 0 } });
  await home.run('restart', 'a', '--ignore-watch', 'built.json');
  expect(await home.listed()).toMatchObject({ watching: { suspended: false, problem: null, folders: 1 } });
  home.put('b.js', 'x');
  await waitFor(() => home.countStarts() === starts + 2);
}, 40_000);

test('a path that is not there is told of, and watched when it comes; the app runs', async () => {
  const home = new Watched();
  home.put('a.js', noting(home.starts));
  const { code, stderr } = await home.run('start', 'a.js', '--cwd', 'app', '--watch', 'lib');
  expect([code, stderr]).toEqual([0, `rcluster: a: "watch": there is no "${home.app}/lib": it is watched as soon as it is there, if its folder is\n`]);
  await waitFor(() => home.countStarts() === 1);
  fs.mkdirSync(path.join(home.app, 'lib'));
  await waitFor(() => home.countStarts() === 2);
  expect((await home.listed()).watching).toMatchObject({ folders: 2, problem: null });
}, 40_000);

test.each([
  [{ ignore_watch: ['a[b'] }, /"ignore_watch" must be paths or patterns: unclosed character class.* Received "a\[b"/],
  [{ watch: ['!lib'] }, /"watch" must be paths or patterns that do not begin with "!"\. Received "!lib"/],
  [{ watch: 7 }, /"watch" must be true, or a path, or a list of paths\. Received 7/],
  [{ watch_delay: 'soon' }, /"watch_delay" must be a time in milliseconds/],
  [{ watch: true, cron: '0 3 * * *' }, /"watch" must not be given with "cron"/],
])('%j is refused in one line', async (keys, line) => {
  const home = new Watched();
  home.put('a.js', SLEEP);
  home.put('ecosystem.config.json', JSON.stringify({ apps: [{ name: 'a', script: 'a.js', ...keys }] }));
  const { code, stdout, stderr } = await home.run('start', 'app/ecosystem.config.json');
  expect([code, stdout, stderr.trim().split('\n').length]).toEqual([1, '', 1]);
  expect(stderr).toMatch(line);
});

// In a user namespace of its own the number of watches can be set.
const LIMITED = ['--user', '--map-root-user', 'sh', '-c', 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"', 'sh'];
testUnless(namespaces(LIMITED), 'unshare')('where no watches are left that is said in one line with what to do, and the app runs', async () => {
  const home = new Watched();
  home.put('a.js', noting(home.starts));
  for (const folder of ['b', 'c', 'd', 'e']) fs.mkdirSync(path.join(home.app, folder));
  const command = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
  const words = [process.execPath, command, 'start', 'a.js', '--cwd', 'app', '--watch'];
  const { status, stderr } = spawnSync('unshare', [...LIMITED, ...words], { cwd: home.folder, encoding: 'utf8', env: { ...process.env, RCLUSTER_HOME: home.path } });
  expect([status, stderr]).toEqual([0, 'rcluster: a: "watch": nothing is watched, as no inotify watches are left for this user: raise fs.inotify.max_user_watches (sysctl), or name fewer folders\n']);
  expect(await home.listed()).toMatchObject({ processes: [{ state: 'online' }], watching: { folders: 0, suspended: false } });
}, 40_000);

/** @param {number} port @returns {Promise<string>} */
function get(port) {
  return new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', agent: false }, (res) => {
      let text = '';
      res.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text)).on('error', reject);
    }).on('error', reject);
  });
}
