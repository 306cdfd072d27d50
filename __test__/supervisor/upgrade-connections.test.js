'use strict';

// What becomes of connections in an upgrade that cannot move, or not yet: they are finished by the old workers.

const http2 = require('node:http2');
const https = require('node:https');
const { KeepAliveClient, RawClient } = require('../helpers/client');
const { waitFor } = require('../helpers/run');
const { startService } = require('../helpers/service');
const { upgrade } = require('../helpers/upgrade');

// TLS without a certificate: both sides know a key.
const PSK = { ciphers: 'PSK', pskCallback: () => ({ psk: Buffer.from('74657374', 'hex'), identity: 'test' }), checkServerIdentity: () => undefined };
const transport = { Agent: class extends https.Agent {
  constructor(options) {
    super({ ...options, ...PSK });
  }
}, request: https.request };

/** Reads all of a body, speaks to sockets that are upgraded, and is slow in `/slow`. */
function worker() {
  const http = require('node:http');
  const serve = async (asked, response) => {
    let length = 0;
    for await (const chunk of asked) length += chunk.length;
    if (asked.url === '/slow') await new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    response.end(`${process.pid} ${length}`);
  };
  const plain = http.createServer(serve).on('upgrade', (asked, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n${process.pid} `);
    socket.pipe(socket);
  });
  const key = Buffer.from('74657374', 'hex');
  const secure = require('node:https').createServer({ ciphers: 'PSK', pskCallback: () => key }, serve);
  const two = require('node:http2').createServer(serve);
  plain.listen(0, '127.0.0.1', () => secure.listen(0, '127.0.0.2', () => two.listen(0, '127.0.0.3')));
}

async function start(options = {}) {
  const service = await startService({ worker, options });
  await waitFor(() => new Set(service.events('listening').map(({ address }) => address)).size === 3);
  const portOf = (wanted) => service.events('listening').find(({ address }) => address === wanted).port;
  return { service, plain: portOf('127.0.0.1'), secure: portOf('127.0.0.2'), two: portOf('127.0.0.3') };
}

test('an upload that trickles is taken to its end, and its connection goes on at the new primary', async () => {
  const { service, plain } = await start({ drainTimeout: 20_000 });
  const client = new RawClient(plain);
  const length = 100_000;
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`);
  let sent = 0;
  const timer = setInterval(() => {
    client.send('x');
    sent++;
  }, 5);
  const finish = async () => {
    await service.event('took-over');
    const then = sent;
    await waitFor(() => sent > then + 100);
    clearInterval(timer);
    // It is under way still, and the old primary waits for it.
    expect([client.got, service.events('upgraded')]).toEqual(['', []]);
    client.send('x'.repeat(length - sent));
    await client.until(/\r\n\r\n\d+ 100000$/);
  };
  try {
    await service.waitForConnections(1);
    const [{ report, next }] = await Promise.all([upgrade(service), finish()]);
    expect(report).toMatchObject({ moved: 1, cut: 0 });
    client.got = '';
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until(/\r\n\r\n\d+ 0$/);
    expect(await next.pids()).toContain(Number(/(\d+) 0$/.exec(client.got)[1]));
  } finally {
    clearInterval(timer);
  }
});

test('over TLS what is under way is answered with "Connection: close", and the next request finds the new primary', async () => {
  const { service, secure } = await start();
  const ask = (client, where) => client.ask(where, { host: '127.0.0.2' });
  const [busy, idle] = [new KeepAliveClient(secure, { transport }), new KeepAliveClient(secure, { transport })];
  await Promise.all([ask(busy, '/'), ask(idle, '/')]);
  const old = await service.pids();
  const [{ report, next }, reply] = await Promise.all([upgrade(service), ask(busy, '/slow')]);
  expect(reply).toMatchObject({ status: 200, headers: { connection: 'close' } });
  expect(old).toContain(Number(reply.body.split(' ')[0]));
  expect(report.cut).toBe(0);
  const recent = await next.pids();
  for (const client of [busy, idle]) expect(recent).toContain(Number((await ask(client, '/')).body.split(' ')[0]));
});

test('an HTTP/2 session is told to go away, and its streams are finished', async () => {
  const { service, two } = await start();
  const session = http2.connect(`http://127.0.0.3:${two}`);
  const errors = [];
  session.on('error', (error) => errors.push(error));
  const get = (where) => new Promise((resolve, reject) => {
    let text = '';
    session.request({ ':path': where }).setEncoding('utf8').on('data', (chunk) => (text += chunk)).on('end', () => resolve(text)).on('error', reject);
  });
  try {
    await get('/');
    const goaway = new Promise((resolve) => { session.once('goaway', resolve); });
    const [{ report }, slow, code] = await Promise.all([upgrade(service), get('/slow'), goaway]);
    expect(slow).toMatch(/^\d+ 0$/);
    expect([code, report.cut, errors]).toEqual([http2.constants.NGHTTP2_NO_ERROR, 0, []]);
  } finally {
    session.destroy();
  }
});

test('a WebSocket speaks on until it ends, or is cut after the drainTimeout and counted', async () => {
  const { service, plain } = await start({ drainTimeout: 3000 });
  const connect = async () => {
    const client = new RawClient(plain);
    client.send('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    await client.until(/\r\n\r\n\d+ $/);
    return client;
  };
  const [ends, stays] = [await connect(), await connect()];
  const upgraded = upgrade(service);
  await service.event('took-over');
  for (const [index, client] of [ends, stays].entries()) {
    client.send(`still there ${index}`);
    await client.until(`still there ${index}`);
  }
  ends.socket.end();
  const { report } = await upgraded;
  expect(report).toMatchObject({ moved: 0, finished: 1, cut: 1 });
  await stays.untilEnded();
});

test('a connection that has moved before, from a worker that still leaves, counts once', async () => {
  const { service, plain } = await start({ drainTimeout: 20_000 });
  const status = async () => (await service.call('status')).workers;
  const [first, second] = (await status()).map(({ pid }) => pid);
  const uploads = [];
  // A trickling upload keeps its worker; one of each.
  for (let index = 0; index < 2; index++) {
    const client = new RawClient(plain);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx');
    uploads.push(client);
  }
  await service.waitForConnections(2);
  const idle = Array.from({ length: 6 }, () => new KeepAliveClient(plain));
  for (const client of idle) await client.ask('/');
  await service.run(({ supervisor }) => void supervisor.scale(1));
  // What was idle at the one is at the other.
  const [stays] = await waitFor(async () => {
    const all = await status();
    return all.length === 1 && all;
  });
  expect(stays.pid).toBe(first);
  await waitFor(async () => (await status())[0].connections.active === 7);
  expect((await service.call('status')).leaving).toMatchObject([{ pid: second, connections: 1 }]);
  const finish = async () => {
    await service.event('took-over');
    for (const client of uploads) client.send('x');
    for (const client of uploads) await client.until(/\r\n\r\n\d+ 2$/);
  };
  const [{ report }] = await Promise.all([upgrade(service), finish()]);
  expect(report.cut).toBe(0);
  expect(report.moved + report.finished).toBe(8);
  for (const client of idle) await client.ask('/');
});
