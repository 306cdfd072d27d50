'use strict';

// The unit of systemd, and what it starts: run here by its own ExecStart, with a socket in systemd's place.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { install, uninstall } = require('../../manager/cli/boot.js');
const { textOf, unitOf } = require('../../manager/cli/unit.js');
const { executable } = require('../../manager/home.js');
const { testWith } = require('../helpers/needs');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');

const testWithPython = testWith('python3');

/** Listens as systemd does, and prints what it is told. */
const LISTENER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(s.recv(4096).decode().replace('\\n', '|'), flush=True)
`;

/** The words of ExecStart, as systemd reads those that textOf writes. @param {string} text */
function execStart(text) {
  const [, line] = /^ExecStart=(.*)$/m.exec(text) ?? [];
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) => (quoted ?? bare).replace(/\\(.)/g, '$1').replace(/%%/g, '%').replace(/\$\$/g, '$'));
}

/** @param {Home} home */
async function boot(home, env = {}) {
  const socket = path.join(home.folder, `notify-${fs.readdirSync(home.folder).length}`);
  const listener = spawn('python3', ['-c', LISTENER, socket]);
  let told = '';
  listener.stdout.on('data', (chunk) => (told += chunk));
  home.children.add(listener);
  await waitFor(() => told.includes('listening'));
  const unit = unitOf({ uid: 0, hp: home.folder, executable: executable(), env: {} });
  const [file, ...words] = execStart(textOf({ ...unit, home: home.path }));
  const daemon = spawn(file, words, { env: { ...process.env, NOTIFY_SOCKET: socket, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  home.children.add(daemon);
  await waitFor(() => told.includes('READY=1'), { message: () => `READY: ${told}` });
  const ended = new Promise((resolve) => { daemon.on('exit', (code) => resolve(code)); });
  return { daemon, ended };
}

const states = async (/** @type {Home} */ home) => (await home.manager.list()).map(({ name, processes }) => [name, processes[0].state]);

testWithPython('what was saved runs when systemd hears READY; a daemon that was killed leaves it alone, and brings nothing back that was deleted', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6); setTimeout(() => process.send("ready"), 300)');
  await home.run('start', 'a.js', '-n', 'a', '--wait-ready');
  await home.run('start', 'a.js', '-n', 'b', '--wait-ready');
  await home.run('save');
  await home.run('kill');
  const first = await boot(home);
  expect(await states(home)).toEqual([['a', 'online'], ['b', 'online']]);
  const [{ processes: [{ pid }] }] = await home.manager.list();
  await home.run('delete', 'b');
  first.daemon.kill('SIGKILL');
  await first.ended;
  await boot(home);
  expect(await states(home)).toEqual([['a', 'online']]);
  expect((await home.manager.list())[0].processes[0].pid).toBe(pid);
}, 40_000);

testWithPython('SIGTERM ends the daemon alone; when the machine goes down, the apps end in order before, and run again after it', async () => {
  const home = new Home();
  const mark = path.join(home.folder, 'ended');
  home.write('a.js', `setInterval(() => {}, 1e6); process.on('SIGINT', () => { require('node:fs').writeFileSync(${JSON.stringify(mark)}, 'in order'); process.exit(); }); process.send('ready')`);
  await home.run('start', 'a.js', '--wait-ready');
  const [{ processes: [{ pid }] }] = await home.manager.list();
  process.kill(home.daemonPid(), 'SIGTERM');
  await waitFor(async () => !(await home.manager.isRunning()));
  const bin = path.join(home.folder, 'bin');
  fs.mkdirSync(bin);
  const answer = (/** @type {string} */ state) => fs.writeFileSync(path.join(bin, 'systemctl'), `#!/bin/sh\necho ${state}\nexit 1\n`, { mode: 0o755 });
  const PATH = `${bin}:${process.env.PATH}`;
  answer('running');
  const first = await boot(home, { PATH });
  first.daemon.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  expect(fs.existsSync(mark)).toBe(false);
  answer('stopping');
  const second = await boot(home, { PATH });
  expect((await home.manager.list())[0].processes[0].pid).toBe(pid);
  second.daemon.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  expect(fs.readFileSync(mark, 'utf8')).toBe('in order');
  await boot(home, { PATH });
  expect(await states(home)).toEqual([['a', 'online']]);
}, 40_000);

describe('the unit', () => {
  const given = { executable: '/opt/my app/100%/$x/rclusterd', env: { HOME: '/home/me' } };
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/srv/ann:/bin/sh\n';

  test('of the system for root, of the user for others; no Node is in it', () => {
    const system = unitOf({ uid: 0, user: 'ann', passwd, ...given });
    expect(system).toMatchObject({ name: 'rcluster-ann.service', folder: '/etc/systemd/system', home: '/srv/ann/.rcluster', user: 'ann' });
    const text = textOf(system);
    for (const line of ['Type=notify', 'KillMode=process', 'Delegate=yes', 'OOMPolicy=continue', 'User=ann', 'WantedBy=multi-user.target']) expect(text.split('\n')).toContain(line);
    expect(execStart(text)).toEqual(['/opt/my app/100%/$x/rclusterd', 'daemon', '--home', '/srv/ann/.rcluster', '--foreground', '--resurrect']);
    // As it is written: what % and $ mean to systemd is not meant.
    expect(text).toContain('\nExecStart="/opt/my app/100%%/$$x/rclusterd" daemon ');
    expect(text).not.toMatch(/\bnode\b/i);
    const own = unitOf({ uid: 1000, ...given });
    expect(own).toMatchObject({ name: 'rcluster.service', folder: '/home/me/.config/systemd/user', home: '/home/me/.rcluster' });
    expect(textOf(own)).not.toMatch(/^User=/m);
    expect(textOf(own).split('\n')).toContain('WantedBy=default.target');
  });

  test('a user that there is not, another one without root, a name that no unit may have', () => {
    expect(() => unitOf({ uid: 0, user: 'nobody-here', passwd, ...given })).toThrow('--user must be a user of this machine. Received "nobody-here"');
    expect(() => unitOf({ uid: 1000, user: 'ann', ...given })).toThrow('--user ann: only root may do that for others: sudo rcluster startup --user ann');
    expect(() => unitOf({ uid: 0, serviceName: 'a/b', ...given })).toThrow('--service-name must be letters, digits and any of _-@:. Received "a/b"');
  });

  testWith('systemd-analyze').each([['the system', 0], ['a user', 1000]])('of %s is one that systemd-analyze finds nothing wrong with', (_, uid) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-unit-'));
    try {
      const unit = unitOf({ uid, ...(uid === 0 && { user: 'root' }), ...given, executable: executable() });
      const file = path.join(folder, unit.name);
      fs.writeFileSync(file, textOf(unit));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
      expect([status, stderr.split('\n').filter((line) => line.includes(unit.name))]).toEqual([0, []]);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  test('is written and enabled, and taken back; what systemd refuses leaves no file', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-unit-'));
    try {
      const unit = { ...unitOf({ uid: 1000, ...given }), folder: path.join(folder, 'systemd', 'user') };
      /** @type {string[]} */
      const asked = [];
      const systemd = (/** @type {string[]} */ ...words) => String(asked.push(words.join(' ')));
      const file = install(unit, systemd);
      expect(fs.readFileSync(file, 'utf8')).toBe(textOf(unit));
      expect(uninstall(unit, systemd)).toBe(file);
      expect(fs.existsSync(file)).toBe(false);
      expect(uninstall(unit, systemd)).toBeUndefined();
      expect(asked).toEqual(['systemctl --user daemon-reload', 'systemctl --user enable --now rcluster.service', 'systemctl --user disable rcluster.service', 'systemctl --user daemon-reload']);
      expect(() => install(unit, () => { throw new Error('refused'); })).toThrow('refused');
      expect(fs.existsSync(file)).toBe(false);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  test('--print shows it, and changes nothing; where systemd does not run that is said', async () => {
    const home = new Home();
    const { code, stdout } = await home.run('startup', '--print');
    expect([code, stdout]).toEqual([0, expect.stringContaining(`--home "${home.path}" --foreground --resurrect`)]);
    expect(await home.run('startup', 'upstart')).toMatchObject({ code: 2, stderr: "rcluster: startup: there are units of systemd alone. Received 'upstart'\n" });
    if (!fs.existsSync('/run/systemd/system')) expect(await home.run('startup')).toMatchObject({ code: 1, stderr: expect.stringContaining('systemd does not run here') });
  });
});
