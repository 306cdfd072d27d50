'use strict';

// What becomes of the connections of a worker that leaves, where they cannot move.

const http2 = require('node:http2');
const https = require('node:https');
const tls = require('node:tls');
const { KeepAliveClient, RawClient } = require('../helpers/client');
const { waitFor, waitForDeath } = require('../helpers/run');
const { startService } = require('../helpers/service');

// TLS without a certificate: both sides know a key.
const KEY = Buffer.from('74657374', 'hex');
const PSK = { ciphers: 'PSK', pskCallback: () => ({ psk: KEY, identity: 'test' }), checkServerIdentity: () => undefined };

/** An HTTPS client like that. */
const transport = { Agent: class extends https.Agent {
  constructor(options) {
    super({ ...options, ...PSK });
  }
}, request: https.request };

describe('TLS', () => {
  function server() {
    const key = Buffer.from('74657374', 'hex');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    require('node:https')
      .createServer({ ciphers: 'PSK', pskCallback: () => key }, async (request, response) => {
        if (request.url === '/slow') await draining;
        response.end(`${process.pid}`);
      })
      .listen(0, '127.0.0.1');
  }

  test('a response that is not begun says "Connection: close"; the next request finds another worker', async () => {
    const service = await startService({ worker: server });
    const client = new KeepAliveClient(service.port, { transport });
    const { body: pid, headers } = await client.ask();
    expect(headers.connection).toBe('keep-alive');
    const reply = client.ask('/slow');
    await service.retire(Number(pid));
    expect(await reply).toMatchObject({ body: pid, headers: { connection: 'close' } });
    await waitForDeath([Number(pid)]);
    expect((await client.ask()).body).not.toBe(pid);
  });

  test('an idle connection is kept for half of the time, and its next response says "Connection: close"', async () => {
    const service = await startService({ worker: server });
    const client = new KeepAliveClient(service.port, { transport });
    const { body: pid } = await client.ask();
    await service.retire(Number(pid));
    expect(await client.ask()).toMatchObject({ body: pid, headers: { connection: 'close' } });
    await waitForDeath([Number(pid)]);
  });

  test('one that stays idle is closed after half of the time', async () => {
    const service = await startService({ worker: server, options: { drainTimeout: 600 } });
    const client = new KeepAliveClient(service.port, { transport });
    const { body: pid } = await client.ask();
    await service.retire(Number(pid));
    expect(await service.exitOf(Number(pid))).toMatchObject({ code: 0 });
    expect(client.closed).toBe(1);
  });
});

describe('HTTP/2', () => {
  function server() {
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    const http2Server = require('node:http2').createServer();
    http2Server.on('stream', async (stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/slow') await draining.then(() => new Promise((resolve) => { setTimeout(resolve, 100); }));
      stream.end(`${process.pid}`);
    });
    http2Server.listen(0, '127.0.0.1');
  }

  const get = (session, path) =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':path': path });
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (chunk) => (text += chunk));
      stream.on('end', () => resolve(text));
      stream.on('error', reject);
    });

  test('the session is told to go away, and what has begun is finished', async () => {
    const service = await startService({ worker: server });
    const session = http2.connect(`http://127.0.0.1:${service.port}`);
    try {
      const pid = await get(session, '/');
      const goaway = new Promise((resolve) => { session.once('goaway', (code) => resolve(code)); });
      const [slow] = [get(session, '/slow'), await service.retire(Number(pid))];
      expect(await goaway).toBe(http2.constants.NGHTTP2_NO_ERROR);
      expect(await slow).toBe(pid);
      await waitForDeath([Number(pid)]);
    } finally {
      session.destroy();
    }
  });

  test('an idle session ends, and the worker with it', async () => {
    const service = await startService({ worker: server, options: { drainTimeout: 1000 } });
    const session = http2.connect(`http://127.0.0.1:${service.port}`);
    try {
      const pid = await get(session, '/');
      const closed = new Promise((resolve) => { session.once('close', resolve); });
      await service.retire(Number(pid));
      await closed;
      await waitForDeath([Number(pid)]);
    } finally {
      session.destroy();
    }
  });

  test('a client that asks on, not having heard yet, is answered', async () => {
    const service = await startService({ worker: server });
    const errors = [];
    const answers = [];
    let session;
    const connect = () => {
      session = http2.connect(`http://127.0.0.1:${service.port}`);
      session.on('error', (error) => errors.push(error));
    };
    const before = await service.pids();
    const ask = async () => {
      if (session.closed || session.destroyed) connect();
      answers.push(Number(await get(session, '/').catch((error) => errors.push(error))));
    };
    connect();
    await ask();
    expect(before).toContain(answers[0]);
    let reloading = true;
    const reload = service.call('reload').finally(() => (reloading = false));
    while (reloading || before.includes(answers.at(-1))) await ask();
    session.destroy();
    await reload;
    expect(errors).toEqual([]);
    expect(await service.pids()).toContain(answers.at(-1));
  });
});

test('HTTP/1 on an HTTP/2 server', async () => {
  function server() {
    const key = Buffer.from('74657374', 'hex');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    const options = { allowHTTP1: true, ciphers: 'PSK', pskCallback: () => key };
    require('node:http2')
      .createSecureServer(options, async (request, response) => {
        if (request.url === '/slow') await draining;
        response.end(`${process.pid}`);
      })
      .listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: server, options: { drainTimeout: 2000 } });
  const [busy, idle] = [new KeepAliveClient(service.port, { transport }), new KeepAliveClient(service.port, { transport })];
  await Promise.all([busy.ask(), idle.ask()]);
  const replies = busy.ask('/slow');
  const { workers } = await service.call('reload');
  expect(await replies).toMatchObject({ status: 200, headers: { connection: 'close' } });
  expect(workers.map(({ cut }) => cut)).toEqual([0, 0]);
});

describe('upgraded sockets', () => {
  function server() {
    const cluster = require('node:cluster');
    const http = require('node:http');
    const sockets = new Set();
    http
      .createServer((request, response) => response.end(`${process.pid}`))
      .on('upgrade', (request, socket) => {
        sockets.add(socket);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
        socket.write(`${process.pid} `);
        socket.on('data', (chunk) => socket.write(chunk));
      })
      .listen(0, '127.0.0.1');
    if (process.env.POLITE) cluster.on('draining', () => sockets.forEach((socket) => socket.end('bye')));
  }

  async function upgraded(service) {
    const client = new RawClient(service.port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    await client.until(/\r\n\r\n\d+ $/);
    return { client, pid: Number(/(\d+) $/.exec(client.got)[1]) };
  }

  test('they stay until the deadline, and are cut then', async () => {
    const service = await startService({ worker: server, options: { workers: 1, drainTimeout: 600 } });
    const { client, pid } = await upgraded(service);
    await service.retire(pid);
    client.send('still there');
    await client.until('still there');
    await client.untilEnded();
    expect(await service.exitOf(pid)).toMatchObject({ signal: 'SIGKILL', reason: 'was not finished after 600 ms' });
  });

  test('a reload reports how many were cut', async () => {
    const service = await startService({ worker: server, options: { workers: 1, drainTimeout: 300 } });
    await upgraded(service);
    const { workers } = await service.call('reload');
    expect(workers).toEqual([expect.objectContaining({ moved: 0, finished: 0, cut: 1 })]);
  });

  test('"draining" tells the worker, which may end them itself', async () => {
    const service = await startService({ worker: server, env: { POLITE: '1' } });
    const { client, pid } = await upgraded(service);
    await service.retire(pid);
    await client.until('bye');
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  });
});

describe('raw TCP', () => {
  function server() {
    require('node:net').createServer((socket) => {
      socket.write(`${process.pid} `);
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
  }

  test('connections go on until they end by themselves', async () => {
    const service = await startService({ worker: server });
    const client = new RawClient(service.port);
    await client.until(/^\d+ $/);
    const pid = Number(client.got);
    await service.retire(pid);
    client.send('echo');
    await client.until('echo');
    client.socket.end();
    await client.untilEnded();
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
  });
});

test('a TLS handshake that is under way is not cut', async () => {
  function server() {
    const key = Buffer.from('74657374', 'hex');
    require('node:https')
      .createServer({ ciphers: 'PSK', pskCallback: () => key }, (request, response) => response.end(`${process.pid}`))
      .listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: server, options: { workers: 1 } });
  const [pid] = await service.pids();
  // Nothing of the handshake is sent before the worker leaves.
  const raw = require('node:net').connect(service.port, '127.0.0.1');
  await service.waitForStatus(({ workers }) => workers[0].connections.active === 1);
  await service.retire(pid);
  const socket = tls.connect({ socket: raw, ...PSK });
  let got = '';
  socket.on('data', (chunk) => (got += chunk));
  socket.on('error', (error) => (got += error));
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor(() => /\r\n\r\n\d+/.test(got), { message: () => got });
  expect(got).toMatch(/Connection: close/);
  socket.destroy();
  await waitForDeath([pid]);
});
