'use strict';

// `cluster.onShutdown` and the event `draining`.

const { runScenario } = require('../helpers/scenario');
const { request, waitFor, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** What the workers have printed. */
const printed = (service) => service.script.stdout.filter((line) => line.startsWith('hook '));

test('hooks run in order, each after the other, when the last connection has ended', async () => {
  function worker() {
    const cluster = require('node:cluster');
    const http = require('node:http');
    const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
    const { setTimeout: sleep } = require('node:timers/promises');
    const server = http.createServer(async (request_, response) => {
      await draining;
      await sleep(100);
      response.end('done', () => console.log('hook 0 answered'));
    });
    server.listen(0, '127.0.0.1');
    cluster.onShutdown(async () => {
      await sleep(50);
      console.log('hook 1');
    });
    cluster.onShutdown(() => console.log('hook 2'));
    cluster.onShutdown(() => new Promise((resolve) => { server.close(resolve); }));
    cluster.onShutdown(() => console.log('hook 3 closed'));
  }
  const service = await startService({ worker, options: { workers: 1 } });
  const [pid] = await service.pids();
  const reply = service.get();
  await service.waitForStatus(({ workers }) => workers[0].connections.active === 1);
  await service.retire(pid);
  expect((await reply).body).toBe('done');
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  expect(printed(service)).toEqual(['hook 0 answered', 'hook 1', 'hook 2', 'hook 3 closed']);
});

test('one that fails is a warning, and the next is run', async () => {
  function worker() {
    const cluster = require('node:cluster');
    cluster.onShutdown(() => { throw new Error('the first'); });
    cluster.onShutdown(() => Promise.reject(new Error('the second')));
    cluster.onShutdown(() => console.log('hook 3'));
    cluster.on('draining', () => { throw new Error('a listener'); });
    require('node:http').createServer().listen(0, '127.0.0.1');
  }
  const service = await startService({ worker, options: { workers: 1 } });
  const [pid] = await service.pids();
  await service.retire(pid);
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  expect(printed(service)).toEqual(['hook 3']);
  const stderr = service.script.stderr.join('\n');
  for (const words of ["A listener of 'draining' failed: Error: a listener", 'A shutdown hook failed: Error: the first', 'A shutdown hook failed: Error: the second']) {
    expect(stderr).toContain(words);
  }
});

test('they run before the deadline even if a connection stays', async () => {
  function worker() {
    require('node:cluster').onShutdown(() => console.log('hook 1'));
    require('node:http').createServer(() => {}).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker, options: { workers: 1, drainTimeout: 1000 } });
  const [pid] = await service.pids();
  const lost = service.get().catch(({ code }) => code);
  await service.waitForStatus(({ workers }) => workers[0].connections.active === 1);
  await service.retire(pid);
  expect(await service.exitOf(pid)).toMatchObject({ signal: 'SIGKILL' });
  expect(printed(service)).toEqual(['hook 1']);
  expect(await lost).toBe('ECONNRESET');
});

test('one that never ends is cut off at the deadline', async () => {
  function worker() {
    require('node:cluster').onShutdown(() => new Promise(() => {}));
    require('node:http').createServer().listen(0, '127.0.0.1');
  }
  const service = await startService({ worker, options: { workers: 1, drainTimeout: 400 } });
  const [pid] = await service.pids();
  await service.retire(pid);
  expect(await service.exitOf(pid)).toMatchObject({ signal: 'SIGKILL', reason: 'was not finished after 400 ms' });
});

test('process.exitCode of the worker is its exit code', async () => {
  function worker() {
    require('node:cluster').onShutdown(() => { process.exitCode = 6; });
    require('node:http').createServer().listen(0, '127.0.0.1');
  }
  const service = await startService({ worker, options: { workers: 1 } });
  const [pid] = await service.pids();
  await service.retire(pid);
  expect(await service.exitOf(pid)).toMatchObject({ code: 6 });
});

test('without a supervisor hooks run when disconnect() has closed the servers', async () => {
  const { primary, exit } = await runScenario({
    primary({ cluster, report }) {
      const worker = cluster.fork();
      worker.on('message', report);
      worker.once('listening', () => worker.disconnect());
      worker.on('exit', (code) => report({ code }));
    },
    worker({ cluster }) {
      const server = require('node:http').createServer().listen(0, '127.0.0.1');
      server.on('close', () => process.send('closed'));
      cluster.onShutdown(async () => process.send('hook'));
    },
  });
  expect(primary).toEqual(['closed', 'hook', { code: 0 }]);
  expect(exit).toEqual({ code: 0, signal: null });
});

test('what is no function is refused', async () => {
  const { worker } = await runScenario({
    primary({ cluster }) {
      cluster.fork();
    },
    worker({ cluster, outcome, report }) {
      report(outcome(() => cluster.onShutdown('close')));
      process.disconnect();
    },
  });
  expect(worker[0].thrown).toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'The "hook" argument must be of type function. Received type string (\'close\')',
  });
});

test('the primary has none', async () => {
  const { primary } = await runScenario({
    primary({ cluster, report }) {
      report([typeof cluster.onShutdown, typeof cluster.supervise]);
    },
  });
  expect(primary).toEqual([['undefined', 'function']]);
});

describe('the primary is killed', () => {
  function worker() {
    const cluster = require('node:cluster');
    const http = require('node:http');
    const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
    http.createServer(async (request_, response) => {
      if (request_.url === '/slow') await draining;
      response.end(`${process.pid}`);
    }).listen(0, '127.0.0.1');
    cluster.onShutdown(() => console.log('hook 1'));
  }

  test('workers finish what they have, run their hooks, and exit', async () => {
    const service = await startService({ worker });
    const pids = await service.pids();
    const slow = [service.get('/slow'), service.get('/slow')];
    await service.waitForConnections(2);
    process.kill(service.pid, 'SIGKILL');
    const replies = await Promise.all(slow);
    expect(pids).toEqual(expect.arrayContaining(replies.map(({ body }) => Number(body))));
    expect(replies.map(({ headers }) => headers.connection)).toEqual(['close', 'close']);
    await waitForDeath(pids);
    // What they have printed may still be in the pipe.
    await waitFor(() => printed(service).length >= 2);
    expect(printed(service)).toEqual(['hook 1', 'hook 1']);
  });

  test('what is not finished in time is cut, and nobody stays', async () => {
    const service = await startService({ worker, options: { drainTimeout: 500 } });
    const pids = await service.pids();
    const { port } = service;
    const stuck = require('node:net').connect(port, '127.0.0.1');
    stuck.on('error', () => {});
    stuck.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    const half = require('node:net').connect(port, '127.0.0.1');
    half.on('error', () => {});
    half.write('GET / HT');
    await service.waitForConnections(2);
    process.kill(service.pid, 'SIGKILL');
    await waitForDeath(pids);
    await expect(request(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    stuck.destroy();
    half.destroy();
  });

  test('while a worker drains: it ends all the same', async () => {
    const service = await startService({ worker, options: { workers: 1, drainTimeout: 1000 } });
    const [pid] = await service.pids();
    const half = require('node:net').connect(service.port, '127.0.0.1');
    half.on('error', () => {});
    half.write('GET / HT');
    await service.waitForStatus(({ workers }) => workers[0].connections.active === 1);
    await service.retire(pid);
    const pids = [pid, ...(await service.pids())];
    process.kill(service.pid, 'SIGKILL');
    await waitForDeath(pids);
    half.destroy();
  });

  test('a worker whose event loop hangs does not stay either', async () => {
    const service = await startService({ worker: pidServer, options: { drainTimeout: 500 } });
    const pids = await service.pids();
    void service.get('/hang').catch(() => {});
    await service.script.waitForLine(/hangs$/);
    process.kill(service.pid, 'SIGKILL');
    await waitForDeath(pids);
  });
});
