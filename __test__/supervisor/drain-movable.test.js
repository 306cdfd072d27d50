'use strict';

// A connection moves only if it is nothing but a socket. Otherwise it is finished, its client is told, and it is closed.

const { KeepAliveClient, RawClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { startService } = require('../helpers/service');

const OPTIONS = { workers: 1, drainTimeout: 2000 };

/** A program that does something of its own with connections. */
function program() {
  const { HOW } = process.env;
  const http = require('node:http');
  const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
  const logins = new WeakMap();
  const server = http.createServer(async (request, response) => {
    const { socket } = request;
    const logged = HOW === 'map' ? logins.get(socket) : socket.login;
    if (HOW === 'property') socket.login ??= 'somebody';
    if (HOW === 'symbol') socket[Symbol.for('login')] = 'somebody';
    if (HOW === 'map') logins.set(socket, 'somebody');
    if (HOW === 'close listener' && !socket.listeners('close').some(({ name }) => name === 'mine')) socket.on('close', function mine() {});
    if (HOW === 'data listener' && socket.listenerCount('data') < 2) socket.on('data', () => {});
    if (HOW === 'own destroy') {
      const { destroy } = socket;
      socket.destroy = function (...args) { return destroy.apply(this, args); };
    }
    if (HOW === 'unmovable' || HOW === 'map') socket.unmovable = true;
    if (request.url === '/slow') await draining;
    response.end(`${process.pid} ${logged}`);
  });
  if (HOW === 'connection listener') server.on('connection', (socket) => { logins.set(socket, 'somebody'); });
  if (HOW === 'movable all the same') {
    server.on('connection', (socket) => {
      socket.on('close', () => {});
      socket.unmovable = false;
    });
  }
  server.listen(0, '127.0.0.1');
}

const STAYING = ['property', 'symbol', 'map', 'close listener', 'data listener', 'own destroy', 'unmovable', 'connection listener'];

test.each(STAYING)('%s: the next answer says "Connection: close"; an idle one is closed', async (HOW) => {
  const service = await startService({ worker: program, options: OPTIONS, env: { HOW } });
  const [idle, asking, busy] = Array.from({ length: 3 }, () => new KeepAliveClient(service.port));
  const pid = Number.parseInt((await idle.ask()).body, 10);
  await Promise.all([asking.ask(), busy.ask()]);
  const reply = busy.ask('/slow');
  await service.retire(pid);
  // It was busy when it was to leave: that it does not move may show only after that.
  let last = await reply;
  while (last.headers.connection !== 'close') last = await busy.ask();
  for (const { body, headers } of [last, await asking.ask()]) {
    expect(Number.parseInt(body, 10)).toBe(pid);
    expect(headers.connection).toBe('close');
  }
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  expect(idle.closed).toBe(1);
});

test.each(['nothing', 'movable all the same'])('%s: it moves', async (HOW) => {
  const service = await startService({ worker: program, options: OPTIONS, env: { HOW } });
  const client = new KeepAliveClient(service.port);
  const pid = Number.parseInt((await client.ask()).body, 10);
  await service.retire(pid);
  await waitForDeath([pid]);
  expect(Number.parseInt((await client.ask()).body, 10)).not.toBe(pid);
  expect(client.closed).toBe(0);
});

describe('a connection that ends', () => {
  /** It answers, and ends its side; the client's stays open. */
  function ends() {
    const http = require('node:http');
    http.createServer((request, response) => {
      const { socket } = request;
      response.end(`${process.pid}`);
      // It is idle then, and still a connection of this server.
      socket.on('finish', () => console.log('ended'));
      response.on('finish', () => setImmediate(() => socket.end()));
      socket._destroy = (error, done) => setTimeout(() => Object.getPrototypeOf(socket)._destroy.call(socket, error, done), 300);
    }).listen(0, '127.0.0.1');
  }

  test('does not move', async () => {
    const service = await startService({ worker: ends, options: OPTIONS });
    const client = new RawClient(service.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/\r\n\r\n\d+$/);
    const pid = Number(/\d+$/.exec(client.got)[0]);
    await service.script.waitForLine(/^ended$/);
    await service.retire(pid);
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
    expect(client.ended).toBe(true);
  });

  test.each([
    ['Connection: close', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
  ])('%s: the end follows each response, whatever reload is under way', async (name, asked) => {
    function answersLater() {
      const http = require('node:http');
      http.createServer((request, response) => setTimeout(() => response.end('hello'), Math.random() * 50)).listen(0, '127.0.0.1');
    }
    const service = await startService({ worker: answersLater });
    let reloading = true;
    let answered = 0;
    const asking = Array.from({ length: 40 }, async () => {
      while (reloading) {
        const client = new RawClient(service.port);
        client.send(asked);
        await client.untilEnded();
        expect(client.got).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nhello$/);
        answered++;
      }
    });
    for (let i = 0; i < 3; i++) await service.call('reload');
    reloading = false;
    await Promise.all(asking);
    expect(answered).toBeGreaterThan(100);
  });
});

test('connections are found without touching what the program has made of "destroy"', async () => {
  function counts() {
    const http = require('node:http');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    let destroyed = 0;
    http.createServer(async (request, response) => {
      await draining;
      setTimeout(() => response.end(`${destroyed}`), 200);
    }).on('connection', (socket) => {
      const { destroy } = socket;
      socket.destroy = function (...args) {
        destroyed++;
        return destroy.apply(this, args);
      };
    }).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: counts, options: OPTIONS });
  const [pid] = await service.pids();
  const replies = [service.get(), service.get()];
  await service.waitForConnections(2);
  await service.retire(pid);
  expect((await Promise.all(replies)).map(({ body }) => body)).toEqual(['0', '0']);
});

describe('how long a connection may stay idle', () => {
  /** 408 after 300 ms, if half a request comes. */
  function impatient() {
    const http = require('node:http');
    const options = { headersTimeout: 300, requestTimeout: 0, connectionsCheckingInterval: 20, keepAliveTimeout: Number(process.env.KEEP_ALIVE ?? 500) };
    const server = http.createServer(options, (request, response) => {
      // Slow is slower than a connection may stay idle.
      setTimeout(() => response.end(`${process.pid}`), request.url === '/slow' ? server.keepAliveTimeout + 500 : 0);
    });
    server.timeout = Number(process.env.SOCKET_TIMEOUT ?? 0);
    server.listen(0, '127.0.0.1');
  }

  async function moved(service) {
    const client = new RawClient(service.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/\r\n\r\n\d+$/);
    const pid = Number(/\d+$/.exec(client.got)[0]);
    client.got = '';
    await service.retire(pid);
    await waitForDeath([pid]);
    return { client, pid };
  }

  describe.each(['rr', 'none', 'reuseport'])('%s', (policy) => {
    test('is as long as before it moved: it ends without a word then', async () => {
      const service = await startService({ worker: impatient, options: { workers: 1, policy } });
      const { client } = await moved(service);
      await client.untilEnded();
      expect(client.got).toBe('');
    });

    test('the next request has all the time of a request', async () => {
      const service = await startService({ worker: impatient, options: { workers: 1, policy }, env: { SOCKET_TIMEOUT: '6000', KEEP_ALIVE: '2500' } });
      const { client, pid } = await moved(service);
      client.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.until(/\r\n\r\n\d+$/);
      expect(Number(/\d+$/.exec(client.got)[0])).not.toBe(pid);
      client.got = '';
      client.send('GET / HT');
      await client.until('408 Request Timeout');
      await client.untilEnded();
    });
  });
});

describe('HTTP behind a net server', () => {
  function program2() {
    const http = require('node:http');
    const net = require('node:net');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    const [one, two] = ['one', 'two'].map((name) => http.createServer(async (request, response) => {
      if (request.url === '/slow') await draining;
      response.end(`${process.pid} ${name}`);
    }));
    net.createServer((socket) => {
      if (!process.env.SNIFF) return void one.emit('connection', socket);
      // The first byte tells.
      socket.once('readable', () => {
        const first = socket.read();
        socket.unshift(first);
        (first[0] === 80 ? two : one).emit('connection', socket);
      });
    }).listen(0, '127.0.0.1');
  }

  test.each([undefined, '1'])('idle ones are closed, the others told (%s)', async (SNIFF) => {
    const service = await startService({ worker: program2, options: OPTIONS, env: { SNIFF } });
    const [idle, asking, busy, other] = Array.from({ length: 4 }, () => new KeepAliveClient(service.port));
    const pid = Number.parseInt((await idle.ask()).body, 10);
    await Promise.all([asking.ask(), busy.ask()]);
    expect((await other.ask('/', { method: 'PUT', body: 'x' })).body).toBe(`${pid} ${SNIFF ? 'two' : 'one'}`);
    const reply = busy.ask('/slow');
    await service.retire(pid);
    for (const { body, headers } of [await reply, await asking.ask()]) {
      expect(body).toBe(`${pid} one`);
      expect(headers.connection).toBe('close');
    }
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
    expect([idle.closed, other.closed]).toEqual([1, 1]);
  });
});

