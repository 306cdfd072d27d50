'use strict';

// A worker that stops answers with `Connection: close`, whatever the program and its libraries write, and answers all that it has read.

const { RawClient } = require('../helpers/client');
const { waitForDeath } = require('../helpers/run');
const { startService } = require('../helpers/service');

/** Each way to write headers. The worker answers when it has been told to leave. */
function writes() {
  const http = require('node:http');
  const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
  const ways = {
    nothing: (response) => response.end('x'),
    set: (response) => response.setHeader('connection', 'keep-alive').end('x'),
    append: (response) => {
      response.appendHeader('Connection', 'keep-alive');
      response.appendHeader('Connection', 'Foo');
      response.end('x');
    },
    remove: (response) => {
      response.removeHeader('Connection');
      response.end('x');
    },
    object: (response) => response.writeHead(200, 'fine', { CONNECTION: 'Keep-Alive', 'Content-Length': 1 }).end('x'),
    list: (response) => response.writeHead(200, ['Connection', 'keep-alive', 'Content-Length', '1']).end('x'),
    pairs: (response) => response.writeHead(200, [['Connection', 'keep-alive'], ['Content-Length', '1']]).end('x'),
    both: (response) => response.setHeader('X-One', '1').writeHead(200, { Connection: 'keep-alive' }).end('x'),
    flush: (response) => {
      response.setHeader('Connection', 'keep-alive');
      response.flushHeaders();
      response.end('x');
    },
    hints: (response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.writeProcessing();
      response.writeHead(200, { Connection: 'keep-alive' });
      response.end('x');
    },
    should: (response) => {
      response.shouldKeepAlive = true;
      response.setHeader('Connection', 'keep-alive');
      response.end('x');
    },
    empty: (response) => response.writeHead(204, { Connection: 'keep-alive' }).end(),
    upgrade: (response) => response.writeHead(426, { Connection: 'keep-alive, Upgrade', Upgrade: 'h2c' }).end('x'),
    wrapped: (response) => {
      // What libraries do that want the last word.
      const { writeHead } = response;
      response.writeHead = function (...args) {
        this.setHeader('Connection', 'keep-alive');
        return writeHead.apply(this, args);
      };
      response.end('x');
    },
  };
  const server = http.createServer();
  server.listen(0, '127.0.0.1');
  // Later than anything that looks at the server's listeners.
  setImmediate(() => server.on('request', async (request, response) => {
    const { pathname, search } = new URL(request.url, 'http://host');
    if (search === '?wait') await draining;
    (ways[pathname.slice(1)] ?? ways.nothing)(response);
  }));
}

const WAYS = ['nothing', 'set', 'append', 'remove', 'object', 'list', 'pairs', 'both', 'flush', 'hints', 'should', 'empty', 'upgrade', 'wrapped'];

test.each([['begun before', '?wait'], ['asked later', '']])('every way to write headers: %s', async (name, query) => {
  const service = await startService({ worker: writes, options: { workers: 1, drainTimeout: 10_000 } });
  const clients = WAYS.map((way) => ({ way, client: new RawClient(service.port), asked: `GET /${way}${query} HTTP/1.1\r\nHost: a\r\n\r\n` }));
  const first = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  for (const { client } of clients) client.send(first);
  for (const { client } of clients) await client.until(/\r\nConnection: keep-alive\r\n[^]*\r\n\r\nx$/);
  if (query) for (const { client, asked } of clients) client.send(asked);
  else await service.waitForConnections(WAYS.length);
  const stopped = service.call('stop').catch(() => {});
  if (!query) {
    // The first that says so shows that it has begun.
    const probe = clients[0];
    for (;;) {
      probe.client.got = '';
      probe.client.send(first);
      await probe.client.until(/\r\n\r\nx$/);
      if (/\r\nConnection: close\r\n/.test(probe.client.got)) break;
    }
    for (const { client, asked } of clients.slice(1)) client.send(asked);
  }
  for (const { way, client } of clients) {
    await client.untilEnded();
    const last = client.got.slice(client.got.lastIndexOf('HTTP/1.1 '));
    expect(`${way}: ${last}`).toMatch(/\r\nconnection: close/i);
    expect(`${way}: ${last}`).not.toMatch(/keep-alive/i);
    if (way === 'upgrade') expect(last).toMatch(/\r\nConnection: close, Upgrade\r\n/);
    if (way === 'append') expect(last).toMatch(/\r\nConnection: close, Foo\r\n/);
    if (way !== 'empty') expect(last).toMatch(/\r\n\r\n(?:x|1\r\nx\r\n0\r\n\r\n)$/);
  }
  await stopped;
});

/** Answers at once, or what it is told to wait for. */
function pipelines() {
  const http = require('node:http');
  const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
  http.createServer(async (request, response) => {
    if (request.url === '/slow') await draining.then(() => new Promise((resolve) => { setTimeout(resolve, 50); }));
    // Without having read what comes.
    if (request.url === '/early') return void response.end('early');
    for await (const chunk of request) response.write(chunk);
    return response.end(request.url);
  }).listen(0, '127.0.0.1');
}

const get = (where) => `GET ${where} HTTP/1.1\r\nHost: a\r\n\r\n`;

test('requests that are in line when it is told to stop are all answered', async () => {
  const service = await startService({ worker: pipelines, options: { workers: 1 } });
  const [pid] = await service.pids();
  const waiting = new RawClient(service.port);
  waiting.send(['/slow', '/1', '/slow', '/2'].map(get).join(''));
  await service.waitForConnections(1);
  void service.call('stop').catch(() => {});
  await waiting.untilEnded();
  expect(waiting.got.match(/HTTP\/1.1 200/g).length).toBe(4);
  await waitForDeath([pid]);
});

test('requests that come in line while it stops, and are answered at once, are all answered', async () => {
  const service = await startService({ worker: pipelines, options: { workers: 1 } });
  const [busy, client] = [new RawClient(service.port), new RawClient(service.port)];
  busy.send(get('/slow'));
  client.send(get('/'));
  await client.until(/\r\n\r\n[^]*\//);
  void service.call('stop').catch(() => {});
  // It has begun.
  await busy.untilEnded();
  expect(client.ended).toBe(false);
  client.got = '';
  client.send(['/1', '/2', '/3'].map(get).join(''));
  await client.untilEnded();
  expect(client.got.match(/HTTP\/1.1 200/g).length).toBe(3);
});

test('a client that is answered before it has sent all may send the rest', async () => {
  const service = await startService({ worker: pipelines, options: { workers: 1 } });
  const [busy, early] = [new RawClient(service.port), new RawClient(service.port)];
  busy.send(get('/slow'));
  early.send(get('/'));
  await early.until(/\r\n\r\n[^]*\//);
  void service.call('stop').catch(() => {});
  await busy.untilEnded();
  early.got = '';
  early.send('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n');
  await early.until('early');
  expect(early.got).toMatch(/Connection: close/);
  expect(early.ended).toBe(false);
  early.send('x'.repeat(200_000));
  await early.untilEnded();
  expect(early.error).toBeUndefined();
});
