'use strict';

// `rcluster run` as process 1 of a container: no home, nothing or little that can be written to, a user without a name.

const { once } = require('node:events');
const fs = require('node:fs');

const { testUnless } = require('../helpers/needs');
const { ROOT, waitFor: waitForCondition } = require('../helpers/run');
const { execute, firstOf, forbidden, startContainer } = require('./container');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const testIfPermitted = testUnless(forbidden, 'unshare');

const RCLUSTER = [process.execPath, `${ROOT}/bin/rcluster.js`];

/**
 * @param {Home} home
 * @param {string[]} words
 * @param {import('./container').Options} [options]
 */
function start(home, words, options) {
  const child = startContainer(home, [...RCLUSTER, 'run', ...words], options);
  const said = { out: '', error: '' };
  child.stdout?.on('data', (data) => (said.out += data));
  child.stderr?.on('data', (data) => (said.error += data));
  const closed = once(child, 'close').then(([code]) => code);
  return { child, said, closed };
}

const APP = `
  console.log('here ' + process.pid + ' ' + process.getuid());
  process.on('SIGINT', () => { console.log('told'); process.exit(0); });
  setInterval(() => {}, 1e6);`;

for (const [place, writable] of /** @type {const} */ ([['/tmp', ['/tmp']], ['/dev/shm', ['/dev/shm']]])) {
  testIfPermitted(`a read-only root, no home, a user without a name, and ${place} alone`, async () => {
    const home = new Home();
    home.write('a.js', APP);
    const { child, said, closed } = start(home, ['a.js'], { writable: [...writable] });
    await waitFor('its line', () => said.out.includes('\n') || said.error !== '');
    expect([said.out, said.error]).toEqual([expect.stringMatching(/^here \d+ 4321\n$/), '']);
    // As docker exec: those who look find it.
    const listed = await execute(child, [...RCLUSTER, 'list', '--json']);
    expect(JSON.parse(listed.stdout)[0]).toMatchObject({ name: 'a', processes: [{ state: 'online', restarts: 0 }] });
    expect(await execute(child, [...RCLUSTER, 'health', 'a'])).toEqual({ code: 0, stdout: 'a: 1 of 1 online\n', stderr: '' });
    process.kill(firstOf(child), 'SIGTERM');
    expect(await closed).toBe(0);
    expect(said.out).toMatch(/\ntold\n$/);
  });
}

testIfPermitted('a cluster on a read-only root serves, and is drained', async () => {
  const home = new Home();
  home.write('server.js', `const server = require('http').createServer((_, response) => response.end('hi')).listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`);
  const { child, said, closed } = start(home, ['server.js', '-i', '2'], { env: { HOME: '/' } });
  await waitFor('both workers', () => said.error.includes('2 workers are ready'));
  const port = Number(/port (\d+)/.exec(said.out)?.[1]);
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('hi');
  expect((await execute(child, [...RCLUSTER, 'health', 'server'])).stdout).toBe('server: 2 of 2 workers ready\n');
  process.kill(firstOf(child), 'SIGTERM');
  expect(await closed).toBe(0);
});

testIfPermitted('SIGQUIT stops it in order, as process 1: with run, and a server alone', async () => {
  const home = new Home();
  home.write('a.js', APP);
  const { child, said, closed } = start(home, ['a.js']);
  await waitFor('its line', () => said.out.includes('\n'));
  process.kill(firstOf(child), 'SIGQUIT');
  expect(await closed).toBe(0);
  expect(said.out).toMatch(/\ntold\n$/);
  home.write('server.js', `require('http').createServer((_, response) => response.end()).listen(0, '127.0.0.1');`);
  const alone = startContainer(home, [...RCLUSTER, '-i', '1', 'server.js'], { writable: [] });
  let error = '';
  alone.stderr?.on('data', (data) => (error += data));
  await waitFor('its worker', () => error.includes('1 worker is ready'));
  process.kill(firstOf(alone), 'SIGQUIT');
  expect((await once(alone, 'close'))[0]).toBe(0);
});

testIfPermitted('a home that was made in /tmp goes with it; the exit code is the program\'s', async () => {
  const home = new Home();
  home.write('a.js', `require('fs').readdirSync('/tmp').forEach((name) => name.startsWith('rcluster') && console.log(name)); process.exitCode = 7;`);
  const child = startContainer(home, ['sh', '-c', `${RCLUSTER.join(' ')} run a.js --no-autorestart; echo code $?; ls -A /tmp | grep rcluster`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout?.on('data', (data) => (out += data));
  await once(child, 'close');
  expect(out).toBe('rcluster-4321\ncode 7\n');
});

testIfPermitted('nothing at all that can be written to: one line that says what helps', async () => {
  const home = new Home();
  home.write('a.js', APP);
  const { said, closed } = start(home, ['a.js'], { writable: [] });
  expect(await closed).toBe(1);
  expect(said.error).toBe('rcluster: there is no folder to write to: not "/.rcluster", "/tmp/rcluster-4321", "/dev/shm/rcluster-4321". Mount one, such as by docker run --tmpfs /tmp, or name one by RCLUSTER_HOME\n');
});

testIfPermitted('a folder of that name that somebody else has made is not used', async () => {
  const home = new Home();
  home.write('a.js', APP);
  const command = ['sh', '-c', `mkdir -m 777 /tmp/rcluster-4321 && exec setpriv --reuid 4321 --regid 4321 --clear-groups ${RCLUSTER.join(' ')} run a.js`];
  const child = startContainer(home, command, { user: '0:0', writable: ['/tmp', '/dev/shm'] });
  let out = '';
  child.stdout?.on('data', (data) => (out += data));
  await waitFor('its line', () => out.includes('here'));
  const { stdout } = await execute(child, ['ls', '/tmp/rcluster-4321', '/dev/shm/rcluster-4321']);
  expect(stdout).toMatch(/^\/dev\/shm\/rcluster-4321:\n[^]*daemon\.sock[^]*\/tmp\/rcluster-4321:\n$/);
  process.kill(firstOf(child), 'SIGTERM');
  expect((await once(child, 'close'))[0]).toBe(0);
});

testIfPermitted('what has lost its parent is collected by process 1', async () => {
  const home = new Home();
  home.write('a.sh', `echo here\nsh -c 'setsid sleep 0.1 & setsid sleep 0.2 &'\ntrap 'exit 0' INT\nwhile :; do sleep 0.05; done`);
  const { child, said, closed } = start(home, ['a.sh']);
  await waitFor('its line', () => said.out === 'here\n');
  const first = firstOf(child);
  // Whoever is started from outside and loses its parent there, as by docker exec.
  await execute(child, ['sh', '-c', 'sleep 0.2 & sleep 0.3 &']);
  const zombies = () => fs.readFileSync(`/proc/${first}/task/${first}/children`, 'utf8').trim().split(' ').filter((pid) => {
    try {
      return /^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) || /sleep/.test(fs.readFileSync(`/proc/${pid}/comm`, 'utf8'));
    } catch {
      return false;
    }
  });
  await waitFor('that all are collected', () => zombies().length === 0);
  process.kill(first, 'SIGTERM');
  expect(await closed).toBe(0);
});

testIfPermitted('where process 1 collects nobody, kill sees that all has ended', async () => {
  const home = new Home();
  home.write('a.js', APP);
  home.write('first.js', `
    const { spawnSync } = require('child_process');
    const words = (...words) => console.log(words[0], spawnSync(process.execPath, ['${RCLUSTER[1]}', ...words], { stdio: ['ignore', 'ignore', 'inherit'] }).status);
    words('start', 'a.js');
    words('kill');`);
  const child = startContainer(home, [process.execPath, 'first.js'], { env: { HOME: '/tmp' } });
  const said = { out: '', error: '' };
  child.stdout?.on('data', (data) => (said.out += data));
  child.stderr?.on('data', (data) => (said.error += data));
  await once(child, 'close');
  expect(said).toEqual({ out: 'start 0\nkill 0\n', error: '' });
});
