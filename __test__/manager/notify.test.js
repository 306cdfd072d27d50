'use strict';

// systemd's protocol, as a program of any language speaks it to its keeper.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describeWith } = require('../helpers/needs');
const { isAlive } = require('../helpers/proc');
const { ROOT, startScript, waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string | (() => string)} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

class Teller {
  /** @param {object} app What it has besides. */
  static async start(app = {}) {
    const teller = new Teller();
    teller.home = new Home();
    teller.manager = teller.home.manager;
    await teller.manager.ensureDaemon();
    fs.copyFileSync(path.join(ROOT, '__test__', 'fixtures', 'teller.py'), path.join(teller.home.folder, 'teller.py'));
    teller.first = await teller.startMore({ ...app });
    return teller;
  }

  async startMore(app) {
    const described = { name: 'teller', mode: 'program', script: 'teller.py', cwd: this.home.folder, env: { PATH: process.env.PATH, PYTHONUNBUFFERED: '1' }, minUptime: 1, killTimeout: 300, ...app };
    const started = this.manager.start([described]);
    started.catch(() => {});
    return started;
  }

  log() {
    try {
      return this.home.log('teller-out.log');
    } catch {
      return '';
    }
  }

  /** Has it do something. @param {string} order */
  async tell(order) {
    const line = `done ${order.replace(/ FDPOLL=0$/, '')}`;
    const count = () => this.log().split('\n').filter((one) => one.startsWith(line)).length;
    const before = count();
    await this.manager.act('teller', 'stdin', { text: `${order}\n`, instances: [0] });
    await waitFor(() => `${line} in ${this.log()}`, () => count() > before);
    return this.log().split('\n').findLast((one) => one.startsWith(line));
  }

  async status() {
    return (await this.manager.list())[0].processes[0];
  }

  /** Waits until its process has told what it was given. */
  async given(number = 1) {
    const lines = () => this.log().split('\n').filter((line) => line.startsWith('given'));
    await waitFor(() => `given ${number} times: ${this.log()}`, () => lines().length >= number);
    return lines()[number - 1];
  }

  until(what, condition) {
    let last;
    return waitFor(() => `${what}: ${JSON.stringify(last)}`, async () => condition((last = await this.status())) && last);
  }
}

describeWith('python3')('what a program tells', () => {
  test('STATUS, RELOADING and READY are what is listed', async () => {
    const teller = await Teller.start();
    await teller.given();
    await teller.tell('tell STATUS=warming up|RELOADING=1');
    expect(await teller.until('told', ({ reloading }) => reloading)).toMatchObject({ statusText: 'warming up', state: 'online' });
    await teller.tell('tell READY=1|STATUS=');
    await teller.until('ready', ({ reloading, statusText }) => !reloading && statusText === null);
  });

  test('READY, and more time until then', async () => {
    const home = new Home();
    // It is ready when it is told to be, which is when it would have failed.
    home.write('slow.py', `
import os, socket, time
def tell(text):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])
    s.send(text)
tell(b'EXTEND_TIMEOUT_USEC=60000000\\nSTATUS=has asked')
while not os.path.exists('go'): time.sleep(0.02)
tell(b'READY=1')
time.sleep(1e6)`);
    const listenTimeout = 4000;
    await home.manager.ensureDaemon();
    const started = home.manager.start([{ name: 'slow', mode: 'program', script: 'slow.py', cwd: home.folder, env: { PATH: process.env.PATH }, waitReady: true, listenTimeout }]);
    const one = async () => (await home.manager.list())[0]?.processes[0];
    await waitFor('the program', async () => (await one())?.statusText === 'has asked');
    const { startedAt } = await one();
    await waitFor('the time that it had', () => Date.now() > Number(startedAt) + listenTimeout + 200);
    home.write('go', '');
    const [{ processes: [ready] }] = await started;
    expect([ready.state, ready.restarts, ready.startedAt]).toEqual(['online', 0, startedAt]);
  });

  test('STOPPING: it has the time that it needs, and its end decides', async () => {
    const teller = await Teller.start({ killTimeout: 100 });
    await teller.given();
    const { pid } = await teller.until('online', ({ state }) => state === 'online');
    await teller.tell('tell STOPPING=1');
    await teller.until('stopping', ({ state }) => state === 'stopping');
    // Longer than it would have if it had been asked to.
    await teller.tell('barrier');
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    expect((await teller.status()).pid).toBe(pid);
    process.kill(pid, 'SIGTERM');
    await teller.until('another', (one) => one.pid !== pid && one.state === 'online');
  });

  test('a watchdog that is not fed ends the process, and another one starts', async () => {
    const teller = await Teller.start({ watchdog: 2000 });
    expect(await teller.given()).toMatch(/ 2000000 True$/);
    await teller.tell('watchdog 0.1');
    const { pid } = await teller.status();
    await new Promise((resolve) => { setTimeout(resolve, 4500); });
    expect((await teller.status()).pid).toBe(pid);
    await teller.tell('quiet');
    expect(await teller.until('another', (one) => one.pid !== pid && one.pid !== null)).toMatchObject({ signal: 'SIGABRT' });
  });

  test('WATCHDOG=trigger does the same at once', async () => {
    const teller = await Teller.start();
    await teller.given();
    const { pid } = await teller.until('online', ({ state }) => state === 'online');
    await teller.tell('tell WATCHDOG=trigger').catch(() => {});
    expect(await teller.until('another', (one) => one.pid !== pid && one.pid !== null)).toMatchObject({ signal: 'SIGABRT', restarts: 1 });
  });

  test('MAINPID: another process is the main one, until it ends', async () => {
    const teller = await Teller.start();
    await teller.given();
    const { pid } = await teller.status();
    await teller.manager.act('teller', 'stdin', { text: 'main\n', instances: [0] });
    const main = Number(await waitFor('its number', () => /main (\d+)/.exec(teller.log())?.[1]));
    await teller.until('the other', (one) => one.pid === main);
    await waitForDeath([pid]);
    expect(await teller.status()).toMatchObject({ pid: main, restarts: 0 });
    process.kill(main, 'SIGKILL');
    expect(await teller.until('another', (one) => one.pid !== main && one.pid !== null)).toMatchObject({ signal: 'SIGKILL', restarts: 1 });
    // One that is none of its own cannot be it.
    await teller.given(2);
    await teller.tell(`tell MAINPID=${process.pid}`);
    await teller.tell('barrier');
    expect((await teller.status()).pid).not.toBe(process.pid);
  });

  test('MAINPID of any other process of its tree is not heard', async () => {
    const teller = await Teller.start();
    await teller.given();
    const { pid } = await teller.status();
    await teller.tell('child');
    await teller.tell('barrier');
    expect((await teller.status()).pid).toBe(pid);
  });

  test('descriptors are kept over a crash and a restart, and given up with a stop', async () => {
    const teller = await Teller.start();
    await teller.given();
    const port = (/** @type {string} */ line) => Number(/(\d+)$/.exec(line)?.[1]);
    const a = port(await teller.tell('keep a'));
    await teller.tell('keep b');
    const c = port(await teller.tell('keep c FDPOLL=0'));
    await teller.tell('keep d');
    await teller.tell('tell FDSTOREREMOVE=1|FDNAME=b');
    // One that listens no longer is forgotten, unless it says not to look.
    await teller.tell('shut c');
    await teller.tell('shut d');
    await teller.tell('barrier');
    process.kill((await teller.status()).pid, 'SIGKILL');
    expect(await teller.given(2)).toContain(`[('a', ${a}), ('c', ${c})]`);
    await teller.home.run('restart', 'teller');
    expect(await teller.given(3)).toContain(`[('a', ${a}), ('c', ${c})]`);
    await teller.home.run('stop', 'teller');
    await teller.home.run('start', 'teller');
    expect(await teller.given(4)).toContain(' [] ');
  });

  test('more descriptors than the keeper may have: what is told is heard, some are kept, none leaks, and it is said', async () => {
    const teller = await Teller.start();
    await teller.given();
    const [{ keeper }] = await teller.manager.list();
    const open = () => fs.readdirSync(`/proc/${keeper}/fd`).length;
    const limit = 80; // what it has of its own is less than half of that
    spawnSync('python3', ['-c', `import resource; resource.prlimit(${keeper}, resource.RLIMIT_NOFILE, (${limit}, ${limit}))`]);
    const atRest = open();
    await teller.tell('keep a');
    await waitFor('the first, and the daemon that comes for second descriptors', () => open() >= atRest + 2);
    const before = open() - 1;
    const counts = [];
    for (const count of [200, 201, 202]) {
      await teller.tell(`many ${count}`);
      await waitFor('what came with it', async () => (await teller.status()).statusText === `many ${count}`);
      counts.push(open());
    }
    // A quarter of what it may have, and the log that says so.
    expect(counts).toEqual(counts.map(() => counts[0]));
    expect(counts[0] - before - limit / 4).toBeGreaterThanOrEqual(0);
    expect(counts[0] - before - limit / 4).toBeLessThanOrEqual(2);
    expect(await teller.home.run('restart', 'teller')).toMatchObject({ code: 0 });
    await teller.given(2);
    const said = () => teller.home.log('teller-error.log').match(/instance 0 has left more descriptors than can be kept for the process after it \(20 at most/g);
    await waitFor(() => `it to be said once, not ${teller.home.log('teller-error.log')}`, () => said()?.length === 1);
    await teller.tell('many 50');
    await waitFor('the same of the next process', () => said()?.length === 2);
  });

  test('who connects to a keeper that has no descriptor left is sent away, and the keeper goes on', async () => {
    const teller = await Teller.start();
    await teller.given();
    const [{ keeper }] = await teller.manager.list();
    const folder = path.join(teller.home.path, 'run');
    const socket = path.join(folder, fs.readdirSync(folder)[0], 'keeper.sock');
    const limit = fs.readdirSync(`/proc/${keeper}/fd`).length + 4;
    spawnSync('python3', ['-c', `import resource; resource.prlimit(${keeper}, resource.RLIMIT_NOFILE, (${limit}, ${limit}))`]);
    let sentAway = 0;
    const all = Array.from({ length: 20 }, () => net.connect(socket).on('close', () => void sentAway++).on('error', () => {}).resume());
    await waitFor('those for whom there is no room', () => sentAway >= 14);
    for (const one of all) one.destroy();
    await teller.tell('tell STATUS=well');
    await waitFor('what it is told', async () => (await teller.status()).statusText === 'well');
  });

  test('a name that is none is replaced', async () => {
    const teller = await Teller.start();
    await teller.given();
    await teller.tell('keep a:b');
    await teller.tell('barrier');
    process.kill((await teller.status()).pid, 'SIGKILL');
    expect(await teller.given(2)).toContain("[('stored', ");
  });

  test('what comes from a process that is none of its own is not heard', async () => {
    const teller = await Teller.start();
    await teller.given();
    const { pid } = await teller.status();
    const address = /NOTIFY_SOCKET=([^\0]+)/.exec(fs.readFileSync(`/proc/${pid}/environ`, 'utf8'))[1];
    const script = `import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect('\\0' + '${address.slice(1)}'); s.send(b'STATUS=forged'); s.send(b'WATCHDOG=trigger'); print('sent', flush=True)`;
    const stranger = startScript('-c', { node: 'python3', args: [script] });
    await stranger.waitForLine(/^sent$/);
    await teller.tell('tell STATUS=own');
    await teller.tell('barrier');
    expect(await teller.until('its own', ({ statusText }) => statusText !== null)).toMatchObject({ statusText: 'own', pid, restarts: 0 });
    expect(isAlive(pid)).toBe(true);
  });
});
