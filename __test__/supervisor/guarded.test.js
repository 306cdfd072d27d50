'use strict';

// A primary that is killed: a service manager keeps its listening sockets for the next one, and no connection is refused.

const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');
const { COMMAND } = require('../helpers/command');
const { freePorts } = require('../helpers/free_ports');
const { load } = require('../helpers/load');
const { describeWith } = require('../helpers/needs');
const { childrenOf, request, startScript, waitFor, waitForDeath } = require('../helpers/run');
const { temporaryFolder, writeScript } = require('../helpers/service');

/** Listens where it is told to, and says so. */
function server() {
  const http = require('node:http');
  for (const where of JSON.parse(process.env.WHERE)) {
    const answer = (asked, response) => setTimeout(() => response.end(`${process.ppid}`), Number(process.env.DELAY ?? 0));
    const one = http.createServer(answer).listen(where, () => console.log('serves', one.address().port ?? one.address()));
  }
}

class Manager {
  constructor(where, { args = [], env = {}, main = server } = {}) {
    this.file = writeScript(main);
    const notify = path.join(temporaryFolder(), 'notify');
    const command = [process.execPath, COMMAND, '-i', '2', '--settle-time', '100ms', '--drain-timeout', '3s', ...args, this.file];
    this.script = startScript('__test__/fixtures/keeps.py', {
      node: 'python3', args: [notify, ...command], env: { WHERE: JSON.stringify(where), ...env },
    });
  }

  get lines() {
    return this.script.stdout;
  }

  /** What has been printed that fits, of all or of the last primary. */
  all(pattern) {
    return this.lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
  }

  get pid() {
    return Number(this.all(/^started (\d+)$/).at(-1));
  }

  get keeps() {
    return this.all(/^keeps (.*)$/).at(-1)?.split(' ').filter(Boolean) ?? [];
  }

  /** Waits until the last primary is ready. */
  async ready() {
    await waitFor(() => this.lines.slice(this.lines.lastIndexOf(`started ${this.pid}`)).some((line) => line.startsWith('told READY=1')), {
      message: () => this.script.describe(),
    });
  }

  /** Kills the primary. Returns its workers. */
  kill(signal = 'SIGKILL') {
    const { pid } = this;
    const workers = childrenOf(pid);
    process.kill(pid, signal);
    return workers;
  }

  async restarted(pid) {
    await waitFor(() => this.pid !== pid, { message: () => this.script.describe() });
    await this.ready();
  }
}

describeWith('python3')('with a manager that keeps descriptors', () => {
  test('addresses of seats are kept as well: who comes while there is no primary is served by the next worker of that seat', async () => {
    const first = await freePorts(2);
    const main = () => require('node:http').createServer((_, response) => response.end(`${process.env.NODE_APP_INSTANCE} of ${process.ppid}`)).listen(0, '127.0.0.1');
    const manager = new Manager([], { main, args: ['--seat-listen', `127.0.0.1:${first}+`] });
    await manager.ready();
    const { pid } = manager;
    manager.kill();
    let refused = 0;
    let last = '';
    const ask = (seat) => request(first + seat, { timeout: 10_000 }).then(({ body }) => (last = body), ({ code }) => void (refused += Number(code === 'ECONNREFUSED')));
    while (!last.endsWith(` of ${manager.pid}`) || manager.pid === pid) await ask(1);
    await manager.restarted(pid);
    for (const seat of [0, 1]) expect((await request(first + seat)).body).toBe(`${seat} of ${manager.pid}`);
    expect(refused).toBe(0);
  });

  test.each([['rr', 10], ['reuseport', 4]])('a primary is killed under load (policy %s, %i times): nothing is refused, and its workers end', async (policy, rounds) => {
    const manager = new Manager([{ port: 0, host: '127.0.0.1' }], { env: { DELAY: '5' }, args: ['--policy', policy] });
    await manager.ready();
    const [port] = manager.all(/^serves (\d+)$/);
    const { result, stop } = load(port, 8);
    const workers = [];
    for (let round = 0; round < rounds; round++) {
      const { answered } = result;
      await waitFor(() => result.answered > answered + 20, { message: () => manager.script.describe() });
      const { pid } = manager;
      workers.push(...manager.kill(['SIGKILL', 'SIGSEGV'][round % 2]));
      await manager.restarted(pid);
    }
    await stop();
    expect(result).toMatchObject({ refused: 0, other: [] });
    // What a worker has taken it finishes; what was between the two of them is lost with the primary.
    expect(result.cut).toBeLessThanOrEqual(rounds * 2);
    expect(new Set(manager.all(/^serves (\d+)$/))).toEqual(new Set([port]));
    await waitForDeath(workers);
  }, 120_000);

  test('each kind of socket has a name of its own, comes back, and is given up with its server', async () => {
    const file = path.join(temporaryFolder(), 'socket');
    const where = [{ port: 0, host: '127.0.0.1' }, { port: 0, host: '127.0.0.1' }, { port: 0, host: '::1' }, { path: file }, { path: '\0rcluster-guarded-%s' }]
      .map((one) => (one.path ? { path: one.path.replace('%s', `${process.pid}`) } : one));
    const manager = new Manager(where);
    await manager.ready();
    await waitFor(() => manager.keeps.length === 5, { message: () => manager.script.describe() });
    const { pid, keeps } = manager;
    expect(new Set(keeps).size).toBe(5);
    expect(manager.all(/^not a name (.*)$/)).toEqual([]);
    const inode = fs.statSync(file).ino;
    const ports = () => manager.all(/^serves (.+)$/).map(String).sort();
    // Each of two workers says where it serves, which may be read after what the primary has told the manager.
    const said = (/** @type {number} */ primaries) => waitFor(() => ports().length === primaries * 2 * where.length, { message: () => manager.script.describe() });
    await said(1);
    const before = new Set(ports());
    manager.kill();
    // Nobody is there: it waits.
    const waits = request(file);
    await manager.restarted(pid);
    expect((await waits).status).toBe(200);
    await said(2);
    expect(new Set(ports())).toEqual(before);
    expect(fs.statSync(file).ino).toBe(inode);
    expect(manager.keeps).toEqual(keeps);
    process.kill(manager.script.pid, 'SIGTERM');
    expect(await manager.script.waitForExit()).toEqual({ code: 0, signal: null });
    expect(manager.keeps).toEqual([]);
    expect(fs.existsSync(file)).toBe(false);
  });

  test.each(['none', 'least', 'sticky', 'reuseport'])('under the policy %s', async (policy) => {
    const manager = new Manager([{ port: 0, host: '127.0.0.1' }], { args: ['--policy', policy] });
    await manager.ready();
    const [port] = manager.all(/^serves (\d+)$/);
    // Those that workers share do not listen yet when they are given away: they must not be taken for shut down.
    const given = manager.lines.filter((line) => line.startsWith('told FDSTORE=1'));
    expect(given.every((line) => line.endsWith(' FDPOLL=0'))).toBe(policy === 'none');
    const { pid } = manager;
    manager.kill();
    await manager.restarted(pid);
    expect((await request(port)).body).toBe(`${manager.pid}`);
  });

  test('of sockets that workers have of their own none is kept that nobody serves', async () => {
    const manager = new Manager([{ port: 0, host: '127.0.0.1' }], { args: ['--policy', 'reuseport'] });
    await manager.ready();
    await waitFor(() => manager.keeps.length === 2);
    const [port] = manager.all(/^serves (\d+)$/);
    const serving = manager.all(/^(serves) \d+$/).length;
    process.kill(childrenOf(manager.pid)[0], 'SIGKILL');
    await waitFor(() => manager.all(/^(serves) \d+$/).length > serving, { message: () => manager.script.describe() });
    // A new connection comes to none that nobody serves.
    for (let count = 0; count < 32; count++) expect((await request(port)).status).toBe(200);
    expect(manager.keeps.length).toBe(2);
  });

  test('datagrams wait, too', async () => {
    const manager = new Manager([], {
      args: ['--ready', 'message'],
      main() {
        const socket = require('node:dgram').createSocket('udp4');
        socket.on('message', (text, from) => socket.send(`${process.ppid}`, from.port));
        socket.bind(0, '127.0.0.1', () => (console.log('serves', socket.address().port), process.send('ready')));
      },
    });
    await manager.ready();
    const [port] = manager.all(/^serves (\d+)$/);
    const client = dgram.createSocket('udp4');
    try {
      const { pid } = manager;
      // The workers of the one that is killed answer nothing any more.
      await waitForDeath(manager.kill());
      client.send('early', port, '127.0.0.1');
      await manager.restarted(pid);
      client.send('late', port, '127.0.0.1');
      const [answer] = await once(client, 'message');
      expect(`${answer}`).toBe(`${manager.pid}`);
    } finally {
      client.close();
    }
  });

  test('what the next one does not ask for is closed, and what is in its way at once', async () => {
    const file = path.join(temporaryFolder(), 'socket');
    const manager = new Manager([{ port: 0, host: '127.0.0.1' }, { path: file }, { port: 0, host: '127.0.0.1' }]);
    await manager.ready();
    const [port, another] = [...new Set(manager.all(/^serves (\d+)$/))].map(Number);
    // Here the one goes, and the other has moved to another address.
    fs.writeFileSync(manager.file, `require('node:http').createServer((asked, response) => response.end('new')).listen(${another})`);
    const { pid } = manager;
    manager.kill();
    await manager.restarted(pid);
    expect((await request(another)).body).toBe('new');
    await waitFor(() => manager.keeps.length === 1, { message: () => manager.script.describe() });
    await expect(once(net.connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(fs.existsSync(file)).toBe(false);
  });

  test('the file of a Unix socket that was removed meanwhile is made anew', async () => {
    const file = path.join(temporaryFolder(), 'socket');
    const manager = new Manager([{ path: file }]);
    await manager.ready();
    const { pid } = manager;
    process.kill(manager.script.pid, 'SIGSTOP');
    manager.kill();
    fs.unlinkSync(file);
    process.kill(manager.script.pid, 'SIGCONT');
    await manager.restarted(pid);
    expect((await request(file)).body).toBe(`${manager.pid}`);
    expect(manager.keeps.length).toBe(1);
  });
});
