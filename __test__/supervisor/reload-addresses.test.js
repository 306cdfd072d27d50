'use strict';

// A new worker takes over when it listens on all addresses that the old one listens on.

const net = require('node:net');

const { request } = require('../helpers/run');
const { startService } = require('../helpers/service');

/** Ports that nobody has at the moment. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => { server.once('listening', resolve); })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => { server.close(resolve); })));
  return ports;
}

/** One port at once, the other when that is there, as with a database. */
function oneAfterTheOther() {
  const http = require('node:http');
  const [first, second] = JSON.parse(process.env.PORTS);
  http.createServer((asked, response) => response.end('metrics')).listen(first, '127.0.0.1');
  setTimeout(() => http.createServer((asked, response) => response.end(`${process.pid}`)).listen(second, '127.0.0.1'), 400);
}

/** Asks without end, each time over a new connection. */
function keepAsking(port) {
  const outcome = { answers: 0, errors: [] };
  let over = false;
  const asking = (async () => {
    while (!over) {
      await request(port).then(() => outcome.answers++, (error) => outcome.errors.push(error.code));
    }
  })();
  return {
    stop: async () => {
      over = true;
      await asking;
      return outcome;
    },
  };
}

test.each([1, 2])('a port that is opened later is never closed, with %d workers', async (workers) => {
  const ports = await freePorts(2);
  const service = await startService({ worker: oneAfterTheOther, options: { workers }, env: { PORTS: JSON.stringify(ports) } });
  await service.event('listening', ({ port }) => port === ports[1] && service.events('listening').length === workers * 2);
  const before = await service.pids();
  const client = keepAsking(ports[1]);
  const report = await service.call('reload');
  const { answers, errors } = await client.stop();
  expect(report.workers.map(({ oldPid }) => oldPid)).toEqual(before);
  for (const { readyTime } of report.workers) expect(readyTime).toBeGreaterThanOrEqual(390);
  expect(errors).toEqual([]);
  expect(answers).toBeGreaterThan(0);
});

test('one that never listens there has failed: it says where it does, and the old ones stay', async () => {
  const ports = await freePorts(3);
  const options = { readyTimeout: 1500 };
  const service = await startService({ worker: oneAfterTheOther, options, env: { PORTS: JSON.stringify(ports) } });
  await service.event('listening', ({ port }) => port === ports[1] && service.events('listening').length === 4);
  const before = await service.pids();
  service.deploy(() => {
    const [first, , third] = JSON.parse(process.env.PORTS);
    for (const port of [first, third]) require('node:http').createServer((asked, response) => response.end('new')).listen(port, '127.0.0.1');
  });
  const error = await service.call('reload').catch((reason) => reason);
  expect(error.code).toBe('ERR_RCLUSTER_RELOAD_FAILED');
  expect(error.message).toMatch(/was not ready after \d+ ms/);
  expect(error.message).toContain(
    `it listens on 127.0.0.1:${ports[0]}, 127.0.0.1:${ports[2]}, and not on 127.0.0.1:${ports[1]} as the worker it was to replace`,
  );
  expect(await service.pids()).toEqual(before);
  expect(before.map(String)).toContain((await request(ports[1])).body);
});

test('a program that looks for a free port and finds another one', async () => {
  const [port, next] = await freePorts(2);
  function looksForPort() {
    const [wanted, other] = JSON.parse(process.env.PORTS);
    const serve = (where) => require('node:http').createServer((asked, response) => response.end(`${process.pid}`)).listen(where, '127.0.0.1');
    const probe = require('node:net').connect(wanted, '127.0.0.1', () => serve(other) && probe.destroy());
    probe.once('error', () => serve(wanted));
  }
  const options = { workers: 1, readyTimeout: 700 };
  const service = await startService({ worker: looksForPort, options, env: { PORTS: JSON.stringify([port, next]) } });
  const [pid] = await service.pids();
  const error = await service.call('reload').catch((reason) => reason);
  expect(error.message).toContain(`it listens on 127.0.0.1:${next}, and not on 127.0.0.1:${port}`);
  expect((await request(port)).body).toBe(`${pid}`);
});

test('what one worker alone had, chosen by its id, keeps nobody from taking over', async () => {
  const [port, admin] = await freePorts(2);
  function elected() {
    const [where, adminPort] = JSON.parse(process.env.PORTS);
    require('node:http').createServer((asked, response) => response.end(`${process.pid}`)).listen(where, '127.0.0.1');
    if (require('node:cluster').worker.id === 1) require('node:http').createServer().listen(adminPort, '127.0.0.1');
  }
  const service = await startService({ worker: elected, options: { readyTimeout: 700 }, env: { PORTS: JSON.stringify([port, admin]) } });
  await service.event('listening', (address) => address.port === admin);
  const before = await service.pids();
  const { workers } = await service.call('reload');
  expect(workers.map(({ oldPid }) => oldPid)).toEqual(before);
});

test('with ready: "message" the program decides', async () => {
  const ports = await freePorts(2);
  function decides() {
    const [port] = JSON.parse(process.env.PORTS);
    require('node:http').createServer((asked, response) => response.end('old')).listen(port, '127.0.0.1', () => process.send('ready'));
  }
  const service = await startService({ worker: decides, options: { ready: 'message' }, env: { PORTS: JSON.stringify(ports) } });
  service.deploy(() => {
    const [, port] = JSON.parse(process.env.PORTS);
    require('node:http').createServer((asked, response) => response.end('new')).listen(port, '127.0.0.1', () => process.send('ready'));
  });
  await service.call('reload');
  expect((await request(ports[1])).body).toBe('new');
});

test('UDP sockets, Unix sockets and sockets of its own count', async () => {
  function many() {
    const folder = require('node:path').dirname(__filename);
    const [port] = JSON.parse(process.env.PORTS);
    const net_ = require('node:net');
    net_.createServer().listen(0, '127.0.0.1');
    setTimeout(() => require('node:dgram').createSocket('udp4').bind(port, '127.0.0.1'), 150);
    setTimeout(() => net_.createServer().listen(`${folder}/socket`), 250);
    setTimeout(() => net_.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true }), 350);
  }
  const [port] = await freePorts(1);
  const service = await startService({ worker: many, options: { workers: 1 }, env: { PORTS: JSON.stringify([port]) } });
  await service.waitForStatus(({ workers: [{ uptime }] }) => uptime > 600);
  const { workers } = await service.call('reload');
  expect(workers[0].readyTime).toBeGreaterThanOrEqual(340);
});

test('a port of the system\'s choice that was opened on the way is not waited for', async () => {
  function opens() {
    const http = require('node:http');
    http.createServer((asked, response) => {
      http.createServer().listen(0, '127.0.0.1', () => response.end('opened'));
    }).listen(JSON.parse(process.env.PORTS)[0], '127.0.0.1');
  }
  const ports = await freePorts(1);
  const options = { workers: 1, readyTimeout: 5000 };
  const service = await startService({ worker: opens, options, env: { PORTS: JSON.stringify(ports) } });
  await request(ports[0]);
  const { workers } = await service.call('reload');
  expect(workers[0].readyTime).toBeLessThan(4500);
});

test('when the old one dies meanwhile, the new one is ready with what it has', async () => {
  const ports = await freePorts(2);
  const options = { workers: 1, readyTimeout: 20_000 };
  const service = await startService({ worker: oneAfterTheOther, options, env: { PORTS: JSON.stringify(ports) } });
  await service.event('listening', ({ port }) => port === ports[1]);
  const [pid] = await service.pids();
  service.deploy(() => {
    require('node:http').createServer((asked, response) => response.end('new')).listen(JSON.parse(process.env.PORTS)[0], '127.0.0.1');
  });
  const reload = service.call('reload');
  await service.event('listening', (address) => address.pid !== pid);
  process.kill(pid, 'SIGKILL');
  expect((await reload).workers[0].newPid).toBe((await service.pids())[0]);
});
