'use strict';

// Another primary takes over: nobody who connects, or is connected, notices.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { testWith } = require('../helpers/needs');
const { isAlive, startScript, waitFor } = require('../helpers/run');
const { Service, pidServer, startService, temporaryFolder, writeScript } = require('../helpers/service');
const { upgrade } = require('../helpers/upgrade');

const running = new Set();
afterEach(() => {
  for (const all of running) all.isOver = true;
  running.clear();
});

/** One request after the other over connections of their own, until it is stopped. */
function clients(service, count, { host = '127.0.0.1', port = service.port } = {}) {
  const all = { answered: 0, failed: [], pids: new Set(), isOver: false };
  const one = async () => {
    while (!all.isOver) {
      try {
        const { body } = await ask({ port, host, agent: false });
        all.pids.add(Number(body));
        all.answered++;
      } catch (error) {
        all.failed.push(error.code ?? error.message);
      }
    }
  };
  running.add(all);
  const loops = Array.from({ length: count }, one);
  return { all, stop: async () => { all.isOver = true; await Promise.all(loops); return all; } };
}

function ask(options) {
  return new Promise((resolve, reject) => {
    const asked = http.request(options, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => resolve({ body, socket: asked.socket }));
    });
    asked.on('error', reject);
    asked.end();
  });
}

test('2,000 connections while the primary is upgraded: each is answered, and new workers answer in the end', async () => {
  const service = await startService({ worker: pidServer });
  const old = await service.pids();
  const { all, stop } = clients(service, 16);
  const { report, next } = await upgrade(service);
  await waitFor(() => all.answered >= 2000);
  const { failed, pids } = await stop();
  expect(failed).toEqual([]);
  expect(report).toMatchObject({ oldPid: service.pid, version: require('../../package.json').version, node: process.version, cut: 0 });
  expect(Object.keys(report.steps)).toEqual(['starting', 'giving', 'waiting', 'committing', 'probation']);
  const recent = await next.pids();
  expect(recent.length).toBe(2);
  for (const pid of [...old, ...recent]) expect(pids).toContain(pid);
  for (const pid of old) expect(isAlive(pid)).toBe(false);
});

test('idle connections go on at the new primary, and are not closed', async () => {
  const service = await startService({ worker: pidServer });
  const agent = new http.Agent({ keepAlive: true });
  const where = { port: service.port, host: '127.0.0.1', agent };
  const first = await Promise.all(Array.from({ length: 40 }, () => ask(where)));
  const sockets = new Set(first.map(({ socket }) => socket));
  let closed = 0;
  for (const socket of sockets) socket.on('close', () => closed++);
  const { report, next } = await upgrade(service);
  expect(report.moved).toBe(40);
  const recent = await next.pids();
  const second = await Promise.all(Array.from({ length: 40 }, () => ask(where)));
  expect(closed).toBe(0);
  for (const { body, socket } of second) {
    expect(sockets).toContain(socket);
    expect(recent).toContain(Number(body));
  }
  agent.destroy();
});

test('a request under way is finished, and its connection goes on at the new primary', async () => {
  const service = await startService({ worker: pidServer });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const where = { port: service.port, host: '127.0.0.1', agent };
  const slow = ask({ ...where, path: '/slow?3000' });
  await service.waitForConnections(1);
  const [{ report, next }, { body, socket }] = await Promise.all([upgrade(service), slow]);
  expect(report.oldPid).toBe(service.pid);
  const again = await ask(where);
  expect(again.socket).toBe(socket);
  expect(await next.pids()).not.toContain(Number(body));
  expect(await next.pids()).toContain(Number(again.body));
  agent.destroy();
});

test.each(['least', 'sticky', 'reuseport', 'none'])('under the policy %s: none refused, idle ones move', async (policy) => {
  const service = await startService({ worker: pidServer, options: { policy } });
  const agent = new http.Agent({ keepAlive: true });
  const where = { port: service.port, host: '127.0.0.1', agent };
  await Promise.all(Array.from({ length: 10 }, () => ask(where)));
  const { all, stop } = clients(service, 4);
  const { report, next } = await upgrade(service);
  const recent = await next.pids();
  await waitFor(() => recent.some((pid) => all.pids.has(pid)));
  expect((await stop()).failed).toEqual([]);
  expect(report).toMatchObject({ cut: 0 });
  expect(report.moved).toBeGreaterThanOrEqual(10);
  for (const { body } of await Promise.all(Array.from({ length: 10 }, () => ask(where)))) expect(recent).toContain(Number(body));
  agent.destroy();
});

test('a Unix socket stays the same file, and a server of IPv6 goes on', async () => {
  const file = path.join(temporaryFolder(), 'app.sock');
  const service = await startService({
    env: { APP_SOCKET: file },
    worker() {
      const serve = () => require('node:http').createServer((_, response) => response.end(`${process.pid}`));
      serve().listen(process.env.APP_SOCKET, () => serve().listen(0, '::1'));
    },
  });
  await service.event('listening', ({ addressType }) => addressType === 6);
  const before = fs.statSync(file, { bigint: true });
  const six = service.events('listening').find(({ addressType }) => addressType === 6).port;
  const { all, stop } = clients(service, 2, { host: '::1', port: six });
  const { next } = await upgrade(service);
  const recent = await next.pids();
  await waitFor(() => recent.some((pid) => all.pids.has(pid)));
  expect((await stop()).failed).toEqual([]);
  const after = fs.statSync(file, { bigint: true });
  expect([after.ino, after.birthtimeNs]).toEqual([before.ino, before.birthtimeNs]);
  expect(recent).toContain(Number((await ask({ socketPath: file, agent: false })).body));
});

test('a descriptor of the primary has the same number in the new one', async () => {
  const service = await startService({
    worker() {
      const serve = () => require('node:http').createServer((_, response) => response.end(`${process.pid}`));
      if (process.env.APP_FD) serve().listen({ fd: Number(process.env.APP_FD) });
      serve().listen(0, '127.0.0.1');
    },
  });
  // A socket that the program has bound, and that it serves nothing from.
  const port = await service.run(async ({ supervisor }, native) => {
    const { bindShared, socketName } = require(native).load();
    process.env.APP_FD = `${bindShared({ port: 0, address: '127.0.0.1' })}`;
    await supervisor.reload();
    return socketName(Number(process.env.APP_FD)).port;
  }, require.resolve('../../lib/native.js'));
  const { all, stop } = clients(service, 2, { port });
  const { next } = await upgrade(service);
  const recent = await next.pids();
  await waitFor(() => recent.some((pid) => all.pids.has(pid)));
  expect((await stop()).failed).toEqual([]);
});

testWith('python3')('a socket that whoever started the service has opened is the new primary\'s as well', async () => {
  const folder = temporaryFolder();
  const file = writeScript(() => {
    require('node:http').createServer((_, response) => response.end(`${process.pid}`)).listen(Number(process.env.ACTIVATED_PORT), '127.0.0.1');
  }, path.join(folder, 'app.js'));
  const control = path.join(folder, 'control');
  const TEST_SERVICE = JSON.stringify({ options: { workers: 1, settleTime: 100, exec: file, args: [] }, control });
  const args = ['0', process.execPath, path.join(__dirname, '../fixtures/service.js')];
  const script = startScript('__test__/fixtures/activate.py', { node: 'python3', args, env: { TEST_SERVICE } });
  const service = new Service(script, control, file);
  await service.event('ready');
  const { all, stop } = clients(service, 2);
  const { next } = await upgrade(service);
  const [recent] = await next.pids();
  await waitFor(() => all.pids.has(recent));
  expect((await stop()).failed).toEqual([]);
});

test('each datagram comes once', async () => {
  const service = await startService({
    worker() {
      const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', (message, { port }) => socket.send(`${process.pid} ${message}`, port, '127.0.0.1'));
      socket.bind(0, '127.0.0.1');
    },
  });
  const client = require('node:dgram').createSocket('udp4');
  const answers = [];
  client.on('message', (message) => answers.push(`${message}`.split(' ')));
  let sent = 0;
  const timer = setInterval(() => client.send(`${sent++}`, service.port, '127.0.0.1'), 5);
  try {
    const { next } = await upgrade(service);
    const recent = (await next.pids()).map(String);
    await waitFor(() => answers.some(([pid]) => recent.includes(pid)));
  } finally {
    clearInterval(timer);
  }
  await waitFor(() => answers.length >= sent);
  expect(answers.map(([, number]) => Number(number)).sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, index) => index));
  client.close();
});

test('several upgrades in a row: the first process starts each, and ends as the last one does', async () => {
  let service = await startService({ worker: pidServer, options: { signals: true } });
  const { all, stop } = clients(service, 2);
  const parents = [];
  for (let round = 0; round < 3; round++) {
    const { report, next } = await upgrade(service);
    parents.push(Number(/^PPid:\t(\d+)/m.exec(fs.readFileSync(`/proc/${report.newPid}/status`, 'utf8'))[1]));
    await waitFor(() => round === 0 || !isAlive(report.oldPid));
    service = next;
  }
  const recent = await service.pids();
  await waitFor(() => recent.some((pid) => all.pids.has(pid)));
  expect((await stop()).failed).toEqual([]);
  expect(parents).toEqual([service.pid, service.pid, service.pid]);
  process.kill(service.pid, 'SIGTERM');
  expect(await service.script.waitForExit()).toMatchObject({ code: 0 });
  for (const pid of recent) expect(isAlive(pid)).toBe(false);
});

test.each([
  ['with its exit code', { code: 7, signal: null }],
  ['by its signal', { code: null, signal: 'SIGKILL' }],
])('the first process ends as the new primary does, %s', async (_, end) => {
  const service = await startService({ worker: pidServer });
  const { report, next } = await upgrade(service);
  if (end.signal) process.kill(report.newPid, end.signal);
  else await next.run((_ways, code) => void setTimeout(() => process.exit(code), 20), end.code);
  expect(await service.script.waitForExit()).toEqual(end);
});

test.each(['port', 'path'])('probes are answered throughout, on a %s', async (kind) => {
  const file = path.join(temporaryFolder(), 'health.sock');
  const health = kind === 'path' ? file : '127.0.0.1:0';
  let service = await startService({ worker: pidServer, options: { health, signals: true } });
  const { address } = await service.event('health');
  const where = kind === 'path' ? { socketPath: file } : { host: '127.0.0.1', port: Number(address.split(':')[1]) };
  const probes = { failed: [], answered: 0, isOver: false };
  const probe = async () => {
    while (!probes.isOver) {
      await new Promise((resolve) => {
        http.get({ ...where, path: '/ready', agent: false }, (response) => {
          if (response.statusCode === 200) probes.answered++;
          else probes.failed.push(response.statusCode);
          response.resume().on('end', resolve);
        }).on('error', ({ code }) => resolve(probes.failed.push(code)));
      });
    }
  };
  running.add(probes);
  const probing = probe();
  for (let round = 2; round <= 3; round++) {
    ({ next: service } = await upgrade(service));
    await waitFor(() => service.events('health').length === round);
    const { answered } = probes;
    await waitFor(() => probes.answered > answered + 10);
  }
  probes.isOver = true;
  await probing;
  expect(probes.failed).toEqual([]);
  expect(service.events('health').map((one) => [one.address, one.error])).toEqual(Array(3).fill([address, undefined]));
  process.kill(service.pid, 'SIGTERM');
  expect(await service.script.waitForExit()).toMatchObject({ code: 0 });
  expect(fs.existsSync(file)).toBe(false);
});

test('a health endpoint of the new version that cannot listen is a reason to refuse the upgrade', async () => {
  const taken = http.createServer().listen(0, '127.0.0.1');
  await waitFor(() => taken.listening);
  const options = { health: '127.0.0.1:0' };
  const service = await startService({ worker: pidServer, options });
  await service.run(({ supervisor }, port) => {
    const given = JSON.parse(process.env.TEST_SERVICE);
    given.options.health = `127.0.0.1:${port}`;
    process.env.TEST_SERVICE = JSON.stringify(given);
    return supervisor.status().state;
  }, taken.address().port);
  await expect(service.call('upgrade')).rejects.toThrow(/says: The health endpoint cannot listen on 127\.0\.0\.1:\d+: it is in use/);
  expect(await service.pids()).toHaveLength(2);
  taken.close();
});

test('a stop after the new primary has been told to take over is that one\'s: it serves on for its stopDelay', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 3000, stopDelay: 700, signals: true } });
  const before = await service.pids();
  const outcome = service.call('upgrade').catch(() => {});
  await waitFor(async () => !before.includes(Number((await service.get()).body)));
  await service.run(({ supervisor }) => void supervisor.stop());
  await service.event('stopping');
  // Still served, by the new one.
  expect(before).not.toContain(Number((await service.get()).body));
  await outcome;
  expect(await service.script.waitForExit()).toMatchObject({ code: 0 });
  expect(service.events('stopped')).toHaveLength(1);
});
