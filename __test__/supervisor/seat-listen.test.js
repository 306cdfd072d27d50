'use strict';

// An address for each seat, which goes to the worker of that seat alone.

const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { KeepAliveClient, RawClient } = require('../helpers/client');
const { startCommand } = require('../helpers/command');
const { freePorts } = require('../helpers/free_ports');
const { childrenOf, request, waitFor, waitForDeath } = require('../helpers/run');
const { Service, pidServer, startService, temporaryFolder, writeScript } = require('../helpers/service');

const local = (port) => `127.0.0.1:${port}+`;
/** ms: idle connections live longer than the reloads of a busy machine take. */
const LONG = 60_000;

/** @type {Set<number>} Primaries that nobody else ends. */
const primaries = new Set();
afterEach(() => {
  for (const pid of primaries) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  primaries.clear();
});

/** @param {import('../helpers/service').Service} service @returns {Promise<import('../helpers/service').Service>} The new primary's. */
async function upgraded(service) {
  const { newPid } = await service.call('upgrade');
  primaries.add(newPid);
  const control = `${service.control}.${newPid}`;
  await waitFor(() => fs.existsSync(control));
  return new Service(service.script, control, service.file);
}

/** @param {import('../helpers/service').Service} service @returns {Promise<string[]>} Who has the seats, in their order. */
const seats = async (service) => (await service.call('status')).workers.map(({ pid }) => `${pid}`);
const pidAt = async (where) => (await request(where)).body;
const isRefused = (where) => request(where).then(() => false, ({ code }) => ['ECONNREFUSED', 'ENOENT'].includes(code));

test('each port goes to the worker of its seat alone, after a crash, a reload and with other counts as well', async () => {
  const first = await freePorts(3);
  const service = await startService({ worker: pidServer, options: { workers: 2, seatListen: local(first) } });
  const check = async () => {
    const pids = await seats(service);
    for (const [seat, pid] of pids.entries()) for (let i = 0; i < 5; i++) expect(await pidAt(first + seat)).toBe(pid);
    return pids;
  };
  const before = await check();
  // The app's own address goes to all as ever.
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.get()));
  expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(before));
  process.kill(Number(before[1]), 'SIGKILL');
  await service.waitForStatus(({ workers }) => workers.every(({ state, pid }) => state === 'ready' && `${pid}` !== before[1]));
  expect((await check())[0]).toBe(before[0]);
  await service.call('reload');
  expect((await check())[0]).not.toBe(before[0]);
  expect(await isRefused(first + 2)).toBe(true);
  await service.call('scale', 3);
  await check();
  await service.call('scale', 1);
  await check();
  expect(await isRefused(first + 1)).toBe(true);
  expect(await isRefused(first + 2)).toBe(true);
  await service.run(({ supervisor }) => void supervisor.stop());
  await service.event('stopped');
  await waitFor(() => isRefused(first));
});

test('while a seat has no worker its connections wait, and the others serve theirs', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first), restart: { delay: 1500 } } });
  const [left, right] = await seats(service);
  process.kill(Number(right), 'SIGKILL');
  await service.event('restart');
  const client = new RawClient(first + 1);
  client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  expect(await pidAt(first)).toBe(left);
  expect(client.got).toBe('');
  await client.until(/^HTTP\/1\.1 200 [^]*\r\n\r\n./);
  expect(client.got).toMatch(new RegExp(`\r\n\r\n${(await seats(service))[1]}$`));
});

test('during reloads every request to a seat is answered by a worker of that seat, and idle connections move within it', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first), keepAliveTimeout: LONG } });
  const idle = [0, 1].map((seat) => Array.from({ length: 5 }, () => new KeepAliveClient(first + seat)));
  for (const clients of idle) for (const client of clients) await client.ask();
  const known = [new Set(), new Set()];
  const note = async () => (await seats(service)).forEach((pid, seat) => known[seat].add(pid));
  await note();
  let on = true;
  const seen = [new Set(), new Set()];
  const ask = async (seat) => {
    while (on) seen[seat].add(await pidAt(first + seat));
  };
  const asking = [ask(0), ask(1)];
  for (let i = 0; i < 3; i++) {
    await service.call('reload');
    await note();
  }
  on = false;
  await Promise.all(asking);
  for (const seat of [0, 1]) for (const pid of seen[seat]) expect(known[seat]).toContain(pid);
  const pids = await seats(service);
  for (const [seat, clients] of idle.entries()) {
    for (const client of clients) {
      expect((await client.ask()).body).toBe(pids[seat]);
      expect(client.closed).toBe(0);
    }
  }
});

test('what moves stays with its seat, however few connections the other workers have', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first), keepAliveTimeout: LONG } });
  const idle = Array.from({ length: 12 }, () => new KeepAliveClient(first + 1));
  for (const client of idle) await client.ask();
  await service.call('reload');
  const [, right] = await seats(service);
  for (const client of idle) {
    expect((await client.ask()).body).toBe(right);
    expect(client.closed).toBe(0);
  }
});

test('so does what a full or leaving worker gives back before its server has had it', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first), proxyProtocol: '127.0.0.1' } });
  // They wait for the rest of their headers.
  const waiting = Array.from({ length: 12 }, () => new RawClient(first + 1));
  for (const client of waiting) client.send('PROXY ');
  const header = 'PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\n';
  await service.waitForStatus(({ workers }) => workers[1].connections.total >= 12);
  await service.call('reload');
  const [, right] = await seats(service);
  for (const client of waiting) {
    client.send(`${header.slice('PROXY '.length)}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await client.until(new RegExp(`\r\n\r\n${right}$`));
  }
});

test('a server that closes and listens again leaves the address of the seat open', async () => {
  const first = await freePorts(1);
  const worker = () => {
    const http = require('node:http');
    const listen = () => {
      const server = http.createServer((asked, response) => {
        response.setHeader('Connection', 'close');
        response.end(`${process.pid}`, () => {
          if (asked.url === '/close') server.close(() => process.once('message', listen));
        });
      }).listen(0, '127.0.0.1');
    };
    listen();
  };
  const service = await startService({ worker, options: { workers: 1, seatListen: local(first) } });
  await request(first, { path: '/close' });
  const waits = new RawClient(first);
  waits.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await waitFor(() => isRefused(service.port));
  expect({ got: waits.got, ended: waits.ended }).toEqual({ got: '', ended: false });
  await service.run(({ cluster }) => void Object.values(cluster.workers)[0].send('listen'));
  await waits.until(/^HTTP\/1\.1 200 /);
  expect(await seats(service)).toEqual([await pidAt(first)]);
});

test('a seat that is given up finishes what it has, and says that it ends', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first) } });
  const [, right] = await seats(service);
  const busy = new KeepAliveClient(first + 1);
  const answer = busy.ask('/slow?700');
  await service.waitForConnections(1);
  await service.call('scale', 1);
  const { status, body, headers } = await answer;
  expect({ status, body, connection: headers.connection }).toEqual({ status: 200, body: right, connection: 'close' });
  await waitForDeath([Number(right)]);
});

test('Unix sockets of a TCP service; a socket that a killed primary has left is taken over', async () => {
  const folder = temporaryFolder();
  const pattern = path.join(folder, 'app.{seat}.sock');
  const file = (seat) => path.join(folder, `app.${seat}.sock`);
  const options = ['-i', '2', '--settle-time', '0', '--seat-listen', pattern, writeScript(pidServer)];
  const first = startCommand(options);
  await first.waitForLine(/2 workers are ready/);
  const pids = [await pidAt(file(0)), await pidAt(file(1))];
  expect(new Set(pids)).toEqual(new Set(childrenOf(first.pid).map(String)));
  const client = new KeepAliveClient(file(0));
  expect((await client.ask()).body).toBe(pids[0]);
  process.kill(first.pid, 'SIGHUP');
  await first.waitForLine(/replaced 2 workers/);
  const moved = await client.ask();
  expect(moved.body).toBe(await pidAt(file(0)));
  expect(client.closed).toBe(0);
  const second = startCommand(options);
  expect(await second.waitForExit()).toEqual({ code: 1, signal: null });
  expect(second.stderr).toEqual([`rcluster: The address of seat 0 cannot be opened, ${file(0)}: it is in use (EADDRINUSE)`]);
  const workers = childrenOf(first.pid);
  process.kill(first.pid, 'SIGKILL');
  await first.waitForExit();
  await waitForDeath(workers);
  expect(fs.existsSync(file(0))).toBe(true);
  const third = startCommand(options);
  await third.waitForLine(/2 workers are ready/);
  expect(childrenOf(third.pid).map(String)).toContain(await pidAt(file(1)));
  expect(await third.stop()).toEqual({ code: 0, signal: null });
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('a port in use: one line, exit code 1, nobody started; a new seat for which it is: the service stays as it is', async () => {
  const first = await freePorts(2);
  const other = net.createServer().listen(first + 1, '127.0.0.1');
  await once(other, 'listening');
  try {
    const said = `The address of seat 1 cannot be opened, 127.0.0.1:${first + 1}: it is in use (EADDRINUSE)`;
    const command = startCommand(['-i', '2', '--seat-listen', local(first), writeScript(pidServer)]);
    expect(await command.waitForExit()).toEqual({ code: 1, signal: null });
    expect(command.stderr).toEqual([`rcluster: ${said}`]);
    const service = await startService({ worker: pidServer, options: { workers: 1, seatListen: local(first) } });
    await expect(service.call('scale', 2)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_SEAT_LISTEN', message: said });
    expect(await seats(service)).toEqual([await pidAt(first)]);
  } finally {
    other.close();
  }
});

test('more workers than there are ports: refused, also later', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 1, seatListen: '127.0.0.1:65535+' } });
  await expect(service.call('scale', 2)).rejects.toMatchObject({ code: 'ERR_RCLUSTER_BAD_OPTION' });
  expect(await seats(service)).toEqual([await pidAt(65535)]);
});

test('a policy under which workers accept by themselves: refused', async () => {
  const command = startCommand(['--policy', 'none', '--seat-listen', '3001+', writeScript(pidServer)]);
  expect(await command.waitForExit()).toEqual({ code: 2, signal: null });
  expect(command.stderr).toEqual([expect.stringMatching(/^rcluster: The "seatListen" option must be left out with the policy 'none'/)]);
});

describe('an app with several servers', () => {
  /** The second server is the one of PORT. */
  function twoServers() {
    const http = require('node:http');
    http.createServer((asked, response) => response.end('first')).listen(0, '127.0.0.1', () => {
      http.createServer((asked, response) => response.end('second')).listen(Number(process.env.PORT), '127.0.0.1', () => process.send('ready'));
    });
  }
  const run = async (mapping) => {
    const first = await freePorts(2);
    const env = { PORT: `${first + 1}` };
    const options = { workers: 1, ready: 'message', seatListen: `${local(first)}${mapping ? `:${first + 1}` : ''}` };
    const service = await startService({ worker: twoServers, options, env });
    return { service, body: await pidAt(first) };
  };

  test('the first of them, with a warning that says how to choose', async () => {
    const { service, body } = await run(false);
    expect(body).toBe('first');
    const warnings = service.script.stderr.filter((line) => line.includes('RCLUSTER_SEAT_LISTEN'));
    expect(warnings).toEqual([expect.stringMatching(/a worker listens on 127\.0\.0\.1:0 and on 127\.0\.0\.1:\d+, .* such as '3001\+:3000'/)]);
  });

  test('or the one of a port', async () => {
    const { service, body } = await run(true);
    expect(body).toBe('second');
    expect(service.script.stderr.join('\n')).not.toContain('RCLUSTER_SEAT_LISTEN');
  });
});

test('a server that has as many connections as it may have lets those of its seat wait', async () => {
  const first = await freePorts(1);
  const worker = () => {
    const server = require('node:http').createServer((asked, response) => response.end(`${process.pid}`));
    server.maxConnections = 1;
    server.listen(0, '127.0.0.1');
  };
  const service = await startService({ worker, options: { workers: 1, seatListen: local(first) } });
  const one = new KeepAliveClient(first);
  await one.ask();
  const other = new RawClient(first);
  other.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  await service.waitForConnections(1);
  expect(other.got).toBe('');
  one.close();
  await other.until(/^HTTP\/1\.1 200 /);
});

test('an app cannot listen on the address of a seat', async () => {
  const first = await freePorts(1);
  const worker = () => {
    const http = require('node:http');
    http.createServer().listen(0, '127.0.0.1', () => {
      http.createServer().on('error', ({ code }) => console.log(`second: ${code}`)).listen(Number(process.env.PORT), '127.0.0.1');
    });
  };
  const service = await startService({ worker, options: { workers: 1, seatListen: local(first) }, env: { PORT: `${first}` } });
  await service.script.waitForLine(/^second: EADDRINUSE$/);
});

test('while the primary is upgraded the addresses stay open and their connections stay with their seats', async () => {
  const first = await freePorts(2);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first) } });
  const idle = [2, 10].map((count, seat) => Array.from({ length: count }, () => new KeepAliveClient(first + seat)));
  for (const clients of idle) for (const client of clients) await client.ask();
  const before = await seats(service);
  const answers = [new Set(), new Set()];
  let on = true;
  const ask = async (seat) => {
    while (on) answers[seat].add(await pidAt(first + seat));
  };
  const asking = [0, 0, 1, 1].map(ask);
  const next = await upgraded(service);
  const after = await seats(next);
  on = false;
  await Promise.all(asking);
  for (const [seat, clients] of idle.entries()) {
    for (const pid of answers[seat]) expect([before[seat], after[seat]]).toContain(pid);
    for (const client of clients) {
      expect((await client.ask()).body).toBe(after[seat]);
      expect(client.closed).toBe(0);
    }
    for (let i = 0; i < 5; i++) expect(await pidAt(first + seat)).toBe(after[seat]);
  }
  // The new primary's addresses live as those of any other.
  await next.call('scale', 1);
  expect(await isRefused(first + 1)).toBe(true);
  await next.run(({ supervisor }) => void supervisor.stop());
  await waitFor(() => isRefused(first));
});

test('the files of Unix sockets stay the same in an upgrade, and go with the new primary', async () => {
  const folder = temporaryFolder();
  const file = (seat) => path.join(folder, `${seat}.sock`);
  const service = await startService({ worker: pidServer, options: { seatListen: path.join(folder, '{seat}.sock') } });
  const inodes = () => [0, 1].map((seat) => fs.statSync(file(seat)).ino);
  const before = inodes();
  const next = await upgraded(service);
  expect(inodes()).toEqual(before);
  const pids = await seats(next);
  expect([await pidAt(file(0)), await pidAt(file(1))]).toEqual(pids);
  await next.run(({ supervisor }) => void supervisor.stop());
  await waitFor(() => fs.readdirSync(folder).length === 0);
});

test('a new version with other addresses is refused, and those of the old one are as before', async () => {
  const first = await freePorts(3);
  const service = await startService({ worker: pidServer, options: { seatListen: local(first) } });
  const pids = await seats(service);
  const fail = async (options) => {
    await service.run((_, changed) => {
      const given = JSON.parse(process.env.TEST_SERVICE);
      Object.assign(given.options, changed);
      process.env.TEST_SERVICE = JSON.stringify(given);
    }, options);
    const { message } = await service.call('upgrade').then(() => ({ message: 'it was upgraded' }), (error) => error);
    expect([await pidAt(first), await pidAt(first + 1)]).toEqual(pids);
    return message;
  };
  expect(await fail({ workers: 1 })).toContain(`has no address for seat 1 (127.0.0.1:${first + 1}), as the old one has`);
  expect(await fail({ workers: 2, seatListen: local(first + 1) })).toContain(`has no address for seat 0 (127.0.0.1:${first})`);
  // The new one has been told to end, with what it listens on.
  await waitFor(() => isRefused(first + 2));
});
