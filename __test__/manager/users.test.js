'use strict';

// Whose everything is: a home is its user's alone, and an app may run as another one. All but the first needs root, who can be somebody else.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { COMMAND } = require('../helpers/command');
const { testUnless } = require('../helpers/needs');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');

const NOBODY = 65_534;
/** Who else must be able to run what is here. */
const mayBeOther = process.getuid?.() === 0 && spawnSync(process.execPath, [COMMAND, '-v'], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status === 0;
const testAsRoot = testUnless(!mayBeOther && 'no process may be somebody else, or this folder is not open to others');
const SLEEP = 'setInterval(() => {}, 1e6);';

/**
 * What a program prints, run by somebody.
 *
 * @param {string[]} words
 * @param {import('node:child_process').SpawnOptions} options
 * @returns {Promise<string>}
 */
function printed([file, ...args], options) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
    child.on('error', reject).on('close', () => resolve(text.trim()));
  });
}

/** @param {Home} home @param {string} log @param {(text: string) => boolean} says */
const has = (home, log, says) => fs.existsSync(path.join(home.path, 'logs', log)) && says(home.log(log));

test('nothing in a home is for others, whatever they would be allowed to by default', async () => {
  const home = new Home();
  home.write('a.js', `console.log('words'); ${SLEEP}`);
  const type = (/** @type {string} */ line) => printed(['sh', '-c', `umask 0; "${process.execPath}" "${COMMAND}" ${line}`], { cwd: home.folder, env: { ...process.env, RCLUSTER_HOME: home.path } });
  await type('start a.js');
  await type('save');
  await waitFor(() => has(home, 'a-out.log', (text) => text.includes('words')), { message: 'its words' });
  const all = fs.readdirSync(home.path, { recursive: true }).map(String);
  expect(all).toEqual(expect.arrayContaining(['daemon.sock', 'daemon.log', 'state.json', 'dump.json', 'logs/a-out.log', 'run/default.a/keeper.sock', 'run/default.a/state.json']));
  const open = ['', ...all].filter((name) => (fs.statSync(path.join(home.path, name)).mode & 0o077) !== 0);
  expect(open).toEqual([]);
});

testAsRoot('an app runs as the user that it names, with its groups alone: a program and a cluster', async () => {
  const home = new Home();
  fs.chmodSync(home.folder, 0o755);
  const text = `console.log(/^Uid:.*|^Gid:.*|^Groups:.*/gm[Symbol.match](require('node:fs').readFileSync('/proc/self/status', 'utf8')).join(' ').replace(/\\s+/g, ' ').trim());`;
  home.write('program.js', `${text} ${SLEEP}`);
  home.write('server.js', `${text} require('node:http').createServer(() => {}).listen(0, '127.0.0.1');`);
  home.write('e.config.js', `module.exports = { apps: [{ script: 'program.js', uid: ${NOBODY}, gid: ${NOBODY} }, { script: 'server.js', instances: 1, exec_mode: 'cluster', uid: ${NOBODY}, gid: '${NOBODY}' }, { name: 'plain', script: 'program.js' }] }`);
  expect(await home.run('start', 'e.config.js')).toMatchObject({ code: 0, stderr: '' });
  const ids = (/** @type {number} */ id) => `Uid: ${Array(4).fill(id).join(' ')} Gid: ${Array(4).fill(id).join(' ')} Groups: ${id}`;
  for (const log of ['program-out.log', 'server-out.log']) await waitFor(() => has(home, log, (text) => text.trim() === ids(NOBODY)), { message: `${log} to say ${ids(NOBODY)}` });
  await waitFor(() => has(home, 'plain-out.log', Boolean), { message: 'its words' });
  expect(home.log('plain-out.log')).toContain('Uid: 0 0 0 0 Gid: 0 0 0 0');
  expect(await home.run('start', 'program.js', '-n', 'other', '--gid', 'no-such-group')).toMatchObject({ code: 1, stderr: 'rcluster: other (0): there is no group "no-such-group"\n' });
});

testAsRoot('whoever is somebody else is not answered by a daemon or a keeper, though the sockets be open to all', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  const [daemon, keeper] = ['daemon.sock', 'run/default.a/keeper.sock'].map((name) => path.join(home.path, name));
  for (const folder of [home.folder, home.path, path.dirname(path.dirname(keeper)), path.dirname(keeper)]) fs.chmodSync(folder, 0o755);
  for (const socket of [daemon, keeper]) fs.chmodSync(socket, 0o777);
  const questions = /** @type {const} */ ([[daemon, 'GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n'], [keeper, '{"id":1,"op":"app"}\n']]);
  const ask = `const [socket, question] = process.argv.slice(1);
    const line = require('node:net').connect(socket, () => line.write(question)).on('error', () => {}).on('data', (data) => { console.log(String(data)); line.destroy(); }).on('close', () => console.log('closed'));`;
  for (const [socket, question] of questions) {
    const by = (/** @type {number} */ uid) => printed([process.execPath, '-e', ask, socket, question], { uid, gid: uid, cwd: '/', env: {} });
    expect(await by(0)).toMatch(/200 OK|"ok"/);
    expect(await by(NOBODY)).toBe('closed');
  }
});

testAsRoot("another user's home is refused, and left as it is", async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  fs.mkdirSync(home.path, { mode: 0o755 });
  fs.chownSync(home.path, NOBODY, NOBODY);
  for (const words of [['list'], ['start', 'a.js'], ['ping']]) {
    expect(await home.run(...words)).toMatchObject({ code: 1, stdout: '', stderr: `rcluster: the home "${home.path}" belongs to user ${NOBODY}, and this is user 0\n` });
  }
  expect([fs.readdirSync(home.path), fs.statSync(home.path).mode & 0o777]).toEqual([[], 0o755]);
  fs.rmdirSync(home.path);
  fs.chmodSync(home.folder, 0o755);
  fs.mkdirSync(home.path, { mode: 0o755 });
  const text = await printed([process.execPath, COMMAND, 'list'], { uid: NOBODY, gid: NOBODY, cwd: '/', env: { RCLUSTER_HOME: home.path, HOME: '/', PATH: process.env.PATH } });
  expect(text).toBe(`rcluster: the home "${home.path}" belongs to user 0, and this is user ${NOBODY}`);
});
