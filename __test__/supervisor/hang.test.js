'use strict';

// A worker whose event loop does not turn is replaced, and only such a one.

const { KeepAliveClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

const OPTIONS = { hangTimeout: 1000 };

/** The worker of a pid is found hanging, and replaced. */
async function expectReplaced(service, pid) {
  const { time } = await service.event('hang', (event) => event.pid === pid);
  expect(time).toBeGreaterThanOrEqual(1000);
  await waitForDeath([pid]);
  expect(await service.event('restart', (event) => event.pid === pid)).toMatchObject({
    reason: `did not turn its event loop for ${time} ms`,
  });
  const { workers } = await service.waitForStatus((status) => status.workers.every(({ state }) => state === 'ready') && status);
  expect(workers.map((worker) => worker.pid)).not.toContain(pid);
}

test('in a request that came over a connection that it has had for long', async () => {
  const service = await startService({ worker: pidServer, options: OPTIONS });
  const client = new KeepAliveClient(service.port);
  const pid = Number((await client.ask()).body);
  const lost = client.ask('/hang').catch((error) => error.code);
  await service.script.waitForLine(/hangs$/);
  // Meanwhile the others serve everybody else.
  const replies = await Promise.all(Array.from({ length: 20 }, () => service.get()));
  expect(replies.every(({ body }) => Number(body) !== pid)).toBe(true);
  await expectReplaced(service, pid);
  expect(await lost).toBe('ECONNRESET');
});

test('in a request over a new connection', async () => {
  const service = await startService({ worker: pidServer, options: OPTIONS });
  const lost = service.get('/hang').catch((error) => error.code);
  const { pid } = await service.event('hang');
  await expectReplaced(service, pid);
  expect(await lost).toBe('ECONNRESET');
});

test('in a timer', async () => {
  function hangsLater() {
    require('node:http').createServer((request, response) => response.end(`${process.pid}`)).listen(0, '127.0.0.1');
    process.on('message', () => setTimeout(() => { for (;;); }, 10));
  }
  const service = await startService({ worker: hangsLater, options: OPTIONS });
  const [pid, other] = await service.pids();
  await service.run(({ cluster }, wanted) => {
    Object.values(cluster.workers).find((worker) => worker.process.pid === wanted).send('hang');
  }, pid);
  await expectReplaced(service, pid);
  expect(await service.pids()).toContain(other);
});

test('a promise that never lets go', async () => {
  function starves() {
    const http = require('node:http');
    http.createServer(async (request, response) => {
      if (request.url === '/hang') for (;;) await null;
      response.end(`${process.pid}`);
    }).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: starves, options: OPTIONS });
  const lost = service.get('/hang').catch((error) => error.code);
  const { pid } = await service.event('hang');
  await expectReplaced(service, pid);
  expect(await lost).toBe('ECONNRESET');
});

test('what was waiting for it is served by others', async () => {
  const service = await startService({ worker: pidServer, options: OPTIONS });
  const lost = service.get('/hang').catch((error) => error.code);
  await service.script.waitForLine(/hangs$/);
  const replies = await Promise.all(Array.from({ length: 50 }, () => service.get()));
  expect(replies.every(({ status }) => status === 200)).toBe(true);
  expect(await lost).toBe('ECONNRESET');
});

test('workers with nothing to do are not hanging', async () => {
  const service = await startService({ worker: pidServer, options: { hangTimeout: 100 } });
  const before = await service.pids();
  await new Promise((resolve) => { setTimeout(resolve, 1500); }); // What is tested is that nothing happens.
  expect(service.events('hang')).toEqual([]);
  expect(await service.pids()).toEqual(before);
});

test('nor are workers that never listen, nor those that only read from sockets', async () => {
  function reader() {
    const net = require('node:net');
    const [one] = [net.connect(Number(process.env.PORT), '127.0.0.1')];
    one.on('data', () => {});
  }
  const source = require('node:net').createServer((socket) => {
    const timer = setInterval(() => socket.write('x'), 5);
    socket.on('close', () => clearInterval(timer));
    socket.on('error', () => {});
  });
  await new Promise((resolve) => { source.listen(0, '127.0.0.1', resolve); });
  try {
    const env = { PORT: `${source.address().port}` };
    const service = await startService({ worker: reader, env, options: { hangTimeout: 150, ready: 'online' } });
    await new Promise((resolve) => { setTimeout(resolve, 1200); });
    expect(service.events('hang')).toEqual([]);
  } finally {
    source.close();
  }
});

test('a primary that was busy itself does not blame its workers', async () => {
  const service = await startService({ worker: pidServer, options: { hangTimeout: 300 } });
  await service.run(() => {
    for (const end = Date.now() + 1500; Date.now() < end;);
  });
  await new Promise((resolve) => { setTimeout(resolve, 600); });
  expect(service.events('hang')).toEqual([]);
});

test('nor one that was stopped, and its workers with it', async () => {
  const service = await startService({ worker: pidServer, options: { hangTimeout: 300 } });
  service.script.signalGroup('SIGSTOP');
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
  service.script.signalGroup('SIGCONT');
  await new Promise((resolve) => { setTimeout(resolve, 600); });
  expect(service.events('hang')).toEqual([]);
});

test('hangSignal: SIGABRT', async () => {
  const service = await startService({ worker: pidServer, options: { ...OPTIONS, hangSignal: 'SIGABRT' } });
  void service.get('/hang').catch(() => {});
  const { pid } = await service.event('hang');
  expect(await service.exitOf(pid)).toMatchObject({ code: null, signal: 'SIGABRT' });
});

test('hangTimeout: 0 lets it hang', async () => {
  const service = await startService({ worker: pidServer, options: { hangTimeout: 0 } });
  void service.get('/hang').catch(() => {});
  await new Promise((resolve) => { setTimeout(resolve, 500); });
  expect(service.events('hang')).toEqual([]);
  expect(service.events('restart')).toEqual([]);
});
