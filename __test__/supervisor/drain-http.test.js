'use strict';

// What becomes of the HTTP connections of a worker that leaves, whatever state they are in.

const { KeepAliveClient, RawClient } = require('../helpers/client');
const { waitFor, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');

/** A worker that has something to be in the middle of: it goes on with it when it has been told to leave. */
function busyServer() {
  const cluster = require('node:cluster');
  const http = require('node:http');
  const { setTimeout: sleep } = require('node:timers/promises');
  const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
  const server = http.createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://host');
    if (pathname === '/upload') {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.end(`${process.pid} got ${body}`);
    } else if (pathname === '/stream') {
      response.write('0 ');
      await draining;
      for (let i = 1; i < 10; i++) {
        response.write(`${i} `);
        await sleep(20);
      }
      response.end(`${process.pid}`);
    } else if (pathname === '/large') {
      response.end(Buffer.alloc(Number(searchParams.get('bytes')), 'x'));
    } else if (pathname === '/slow') {
      await draining;
      await sleep(50);
      response.end(`${process.pid}`);
    } else {
      response.end(`${process.pid}`);
    }
  });
  server.listen(0, '127.0.0.1');
}

/** A connection that has been used once, and the worker that has it. */
async function usedConnection(service) {
  const client = new RawClient(service.port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until(/\r\n\r\n\d+$/);
  const pid = Number(/\d+$/.exec(client.got)[0]);
  client.got = '';
  return { client, pid };
}

/** The connection is still open, and another worker serves it now. */
async function expectMoved(client, oldPid) {
  client.got = '';
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until(/\r\n\r\n\d+$/);
  expect(Number(/\d+$/.exec(client.got)[0])).not.toBe(oldPid);
  expect(client.ended).toBe(false);
}

test('one that waits for its response gets it, and moves then', async () => {
  const service = await startService({ worker: busyServer });
  const client = new KeepAliveClient(service.port);
  const { body: pid } = await client.ask();
  const reply = client.ask('/slow');
  await service.retire(Number(pid));
  expect(await reply).toMatchObject({ body: pid, headers: { connection: 'keep-alive' } });
  await waitForDeath([Number(pid)]);
  expect((await client.ask()).body).not.toBe(pid);
  expect(client.closed).toBe(0);
});

test('one with requests in line gets all responses, in order', async () => {
  const service = await startService({ worker: busyServer });
  const { client, pid } = await usedConnection(service);
  client.send(['/slow', '/', '/slow', '/'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  await service.retire(pid);
  await client.until(new RegExp(`(?:200 OK[^]*?\r\n\r\n${pid}[^]*?){4}`));
  await waitForDeath([pid]);
  await expectMoved(client, pid);
});

test('one with half a request header may finish it', async () => {
  const service = await startService({ worker: busyServer });
  const { client, pid } = await usedConnection(service);
  client.send('GET / HTTP/1.1\r\nHo');
  await service.retire(pid);
  client.send('st: a\r\n\r\n');
  await client.until(`\r\n\r\n${pid}`);
  await waitForDeath([pid]);
  await expectMoved(client, pid);
});

test('one that is uploading may finish it', async () => {
  const service = await startService({ worker: busyServer });
  const { client, pid } = await usedConnection(service);
  client.send('POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234');
  await service.retire(pid);
  client.send('56789');
  await client.until(`${pid} got 0123456789`);
  await waitForDeath([pid]);
  await expectMoved(client, pid);
});

test('one that waits for "100 Continue" may go on', async () => {
  const service = await startService({ worker: busyServer });
  const { client, pid } = await usedConnection(service);
  client.send('POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n');
  await client.until('100 Continue');
  await service.retire(pid);
  client.send('ok');
  await client.until(`${pid} got ok`);
  await waitForDeath([pid]);
  await expectMoved(client, pid);
});

test('one with a response under way gets all of it', async () => {
  const service = await startService({ worker: busyServer });
  const { client, pid } = await usedConnection(service);
  client.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('0 ');
  await service.retire(pid);
  await client.until(`${pid}\r\n0\r\n\r\n`);
  for (let i = 0; i < 10; i++) expect(client.got).toContain(`${i} `);
  await waitForDeath([pid]);
  await expectMoved(client, pid);
});

test('one whose client reads slowly gets all of a response that the server has long ended', async () => {
  const bytes = 20_000_000;
  // Long past the time at which idle connections that cannot move are closed.
  const service = await startService({ worker: busyServer, options: { drainTimeout: 4000 } });
  const { client, pid } = await usedConnection(service);
  client.socket.pause();
  client.send(`GET /large?bytes=${bytes} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await service.waitForStatus(({ workers }) => workers.some((one) => one.pid === pid && one.connections.active === 1));
  await service.retire(pid);
  await new Promise((resolve) => { setTimeout(resolve, 2200); }); // What is tested is time itself.
  client.socket.resume();
  const length = () => client.got.length - client.got.indexOf('\r\n\r\n') - 4;
  await waitFor(() => length() >= bytes, { message: () => `got ${length()} bytes` });
  expect(length()).toBe(bytes);
  await waitForDeath([pid]);
});

test('one on which nothing ever came moves, too', async () => {
  const service = await startService({ worker: busyServer });
  const clients = Array.from({ length: 4 }, () => new RawClient(service.port));
  await service.waitForConnections(4);
  const [pid] = await service.pids();
  await service.retire(pid);
  await waitForDeath([pid]);
  for (const client of clients) await expectMoved(client, pid);
});

test('one of a server that the worker itself has closed before gets its response', async () => {
  function closing() {
    const cluster = require('node:cluster');
    const http = require('node:http');
    const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
    const server = http.createServer(async (request, response) => {
      server.close();
      await draining;
      setTimeout(() => response.end(`${process.pid}`), 100);
    });
    server.listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: closing });
  const reply = service.get();
  const { pid } = await service.waitForStatus(({ workers }) => workers.find(({ connections }) => connections.active === 1));
  await service.retire(pid);
  expect((await reply).body).toBe(`${pid}`);
  expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
});

test('with "Connection: close" every request is answered', async () => {
  const service = await startService({ worker: pidServer });
  let reloading = true;
  const reload = service.call('reload').finally(() => (reloading = false));
  let answered = 0;
  while (reloading) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => service.get()));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    answered += replies.length;
  }
  await reload;
  expect(answered).toBeGreaterThan(50);
});

test('1,000 idle connections move at once', async () => {
  const service = await startService({ worker: pidServer });
  const clients = Array.from({ length: 1000 }, () => new KeepAliveClient(service.port));
  const pids = (await Promise.all(clients.map((client) => client.ask()))).map(({ body }) => body);
  const [pid] = await service.pids();
  expect(pids.filter((one) => one === `${pid}`).length).toBeGreaterThan(100);
  await service.retire(pid);
  await waitForDeath([pid]);
  const replies = await Promise.all(clients.map((client) => client.ask()));
  expect(replies.some(({ body }) => body === `${pid}`)).toBe(false);
  expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
  expect(clients.every(({ ports }) => ports.size === 1)).toBe(true);
});
