'use strict';

// What a program does on SIGTERM or SIGINT: done when its connections are gone, and it ends when that is.

const fs = require('node:fs');
const path = require('node:path');
const { RawClient } = require('../helpers/client');
const { waitFor, waitForDeath } = require('../helpers/run');
const { startService, temporaryFolder } = require('../helpers/service');

const said = (service, what) => service.script.stdout.filter((line) => line.startsWith(what));

describe('a program without a server', () => {
  /** A job takes until a file is there. On SIGTERM, or whatever else, the job under way is finished. */
  function jobs() {
    const fs_ = require('node:fs');
    let stopping = false;
    process.on(process.env.ON ?? 'SIGTERM', (signal, number) => {
      console.log(`told ${process.pid} ${signal} ${number}`);
      stopping = true;
    });
    const work = () => {
      if (!fs_.existsSync(process.env.DONE)) return void setTimeout(work, 20);
      console.log(`finished ${process.pid}`);
      if (stopping) process.exit(7);
      return void setTimeout(work, 20);
    };
    work();
    process.send('ready');
  }

  const start = (env = {}, options = {}) => {
    const done = path.join(temporaryFolder(), 'done');
    const all = { workers: 1, ready: 'message', ...options };
    return startService({ worker: jobs, options: all, env: { DONE: done, ...env } }).then((service) => ({ service, done }));
  };

  test('on a reload its job is finished, and it ends by itself', async () => {
    const { service, done } = await start();
    const [pid] = await service.pids();
    const reload = service.call('reload');
    await service.script.waitForLine(new RegExp(`^told ${pid} SIGTERM 15$`));
    fs.writeFileSync(done, '');
    const { workers } = await reload;
    expect(workers).toEqual([expect.objectContaining({ oldPid: pid, cut: 0 })]);
    expect(said(service, `finished ${pid}`).length).toBeGreaterThan(0);
    expect(said(service, `told ${pid}`)).toEqual([`told ${pid} SIGTERM 15`]);
    expect(await service.exitOf(pid)).toMatchObject({ code: 7 });
  });

  test('on a stop, too', async () => {
    const { service, done } = await start();
    const [pid] = await service.pids();
    process.kill(service.pid, 'SIGTERM');
    await service.script.waitForLine(new RegExp(`^told ${pid} SIGTERM 15$`));
    fs.writeFileSync(done, '');
    await service.script.waitForLine(new RegExp(`^finished ${pid}$`));
    await waitForDeath([pid]);
  });

  test('one that knows SIGINT only is told SIGINT', async () => {
    const { service, done } = await start({ ON: 'SIGINT' });
    const [pid] = await service.pids();
    fs.writeFileSync(done, '');
    await service.retire(pid);
    await service.script.waitForLine(new RegExp(`^told ${pid} SIGINT 2$`));
    expect(await service.exitOf(pid)).toMatchObject({ code: 7 });
  });

  test('one that does not finish is killed at the deadline', async () => {
    const { service } = await start({}, { drainTimeout: 500 });
    const [pid] = await service.pids();
    await service.retire(pid);
    expect(await service.exitOf(pid)).toMatchObject({ signal: 'SIGKILL', reason: 'was not finished after 500 ms' });
  });
});

test('one that has not said that it wants to know is ended when its connections are gone', async () => {
  function worker() {
    setInterval(() => {}, 1000);
    require('node:http').createServer((request, response) => response.end('ok')).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker, options: { workers: 1, drainTimeout: 20_000 } });
  const [pid] = await service.pids();
  await service.retire(pid);
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
});

describe('a program with a server', () => {
  /** Each way to end that is usual. */
  function worker() {
    const { HOW } = process.env;
    const http = require('node:http');
    const { setTimeout: sleep } = require('node:timers/promises');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    const server = http.createServer(async (request, response) => {
      if (request.url === '/slow') await draining.then(() => sleep(100));
      response.end(`${process.pid}`, () => console.log(`answered ${process.pid}`));
    });
    server.on('close', () => console.log(`closed ${process.pid}`));
    server.listen(0, '127.0.0.1');
    const told = () => console.log(`told ${process.pid}`);
    if (HOW === 'exit') process.on('SIGTERM', () => { told(); process.exit(3); });
    if (HOW === 'close') process.once('SIGTERM', () => { told(); server.close((error) => process.exit(error ? 1 : 3)); });
    if (HOW === 'later') {
      process.on('SIGTERM', async () => {
        told();
        await sleep(200);
        server.close(() => console.log(`over ${process.pid}`));
        process.exitCode = 3;
      });
    }
    // It never ends by itself.
    if (HOW === 'interval') {
      setInterval(() => {}, 100);
      process.on('message', () => {});
      process.on('SIGTERM', () => { told(); process.exitCode = 3; });
    }
  }

  test.each(['exit', 'close', 'later', 'interval'])('%s', async (HOW) => {
    const service = await startService({ worker, options: { workers: 1, drainTimeout: 20_000 }, env: { HOW } });
    const [pid] = await service.pids();
    const slow = service.get('/slow');
    await service.waitForConnections(1);
    await service.retire(pid);
    expect((await slow).body).toBe(`${pid}`);
    expect(await service.exitOf(pid)).toMatchObject({ code: 3, signal: null });
    const lines = service.script.stdout.filter((line) => line.endsWith(` ${pid}`)).map((line) => line.split(' ')[0]);
    const end = { exit: [], close: ['closed'], later: ['closed', 'over'], interval: ['closed'] }[HOW];
    expect(lines.slice(0, 2)).toEqual(['answered', 'told']);
    expect(lines.slice(2).sort()).toEqual(end.sort());
  });

  test('a stream that never ends does not keep the program from hearing of it', async () => {
    function streams() {
      const open = new Set();
      require('node:http').createServer((request, response) => {
        response.write('begun');
        open.add(response);
      }).listen(0, '127.0.0.1');
      process.on('SIGTERM', () => {
        for (const response of open) response.end('bye');
      });
    }
    const service = await startService({ worker: streams, options: { workers: 1, drainTimeout: 4000 } });
    const [pid] = await service.pids();
    const client = new RawClient(service.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until('begun');
    await service.retire(pid);
    await client.until('bye');
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  });
});

describe('a signal to the whole group', () => {
  /** It would end at once. */
  function hasty() {
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { console.log(`told ${process.pid} ${signal}`); process.exit(0); });
    require('node:http').createServer((request, response) => {
      draining.then(() => setTimeout(() => response.end('whole'), 100));
    }).listen(0, '127.0.0.1');
  }

  test.each(['SIGTERM', 'SIGINT'])('%s: what is under way is finished before the program hears of it', async (signal) => {
    const service = await startService({ worker: hasty, options: { signals: true } });
    const pids = await service.pids();
    const replies = [service.get(), service.get(), service.get()];
    await service.waitForConnections(3);
    for (const pid of [...pids, service.pid]) process.kill(pid, signal);
    expect((await Promise.all(replies)).map(({ body }) => body)).toEqual(['whole', 'whole', 'whole']);
    await waitForDeath(pids);
    await waitFor(() => said(service, 'told').length >= 2);
    expect(said(service, 'told').sort()).toEqual(pids.map((pid) => `told ${pid} ${signal}`).sort());
  });

  test('a program that sends it to itself when all is done ends of it', async () => {
    function again() {
      setInterval(() => {}, 1_000_000);
      process.once('SIGTERM', () => {
        console.log(`told ${process.pid}`);
        setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
      });
      require('node:http').createServer().listen(0, '127.0.0.1');
    }
    const service = await startService({ worker: again, options: { signals: true, workers: 1, drainTimeout: 20_000 } });
    const [pid] = await service.pids();
    process.kill(pid, 'SIGTERM');
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
    expect(said(service, 'told')).toEqual([`told ${pid}`]);
  });

  test('what the program emits itself it hears at once', async () => {
    function emits() {
      process.on('SIGTERM', () => console.log(`told ${process.pid}`));
      process.emit('SIGTERM', 'SIGTERM', 15);
      require('node:http').createServer().listen(0, '127.0.0.1');
    }
    const service = await startService({ worker: emits, options: { signals: true, workers: 1 } });
    const [pid] = await service.pids();
    expect(said(service, 'told')).toEqual([`told ${pid}`]);
  });
});

test('a program that has thrown is not asked', async () => {
  function throws() {
    process.on('SIGTERM', () => { console.log('told'); process.exit(0); });
    require('node:http').createServer((request, response) => {
      setImmediate(() => { throw new Error('thrown later'); });
      response.end(`${process.pid}`);
    }).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: throws, options: { workers: 1, crash: 'drain' } });
  const pid = Number((await service.get()).body);
  expect(await service.exitOf(pid)).toMatchObject({ code: 1 });
  expect(said(service, 'told')).toEqual([]);
});
