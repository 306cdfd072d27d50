'use strict';

// A worker that leaves, by the kind of socket that its server listens on.

const path = require('node:path');
const { KeepAliveClient } = require('../helpers/client');
const { request, waitForDeath } = require('../helpers/run');
const { pidServer, startService, temporaryFolder } = require('../helpers/service');

/** Idle connections of a worker that leaves are served by the others, and none is closed. */
async function expectIdleOnesToMove(service, where) {
  const clients = Array.from({ length: 20 }, () => new KeepAliveClient(where));
  const pids = (await Promise.all(clients.map((client) => client.ask()))).map(({ body }) => Number(body));
  await service.retire(pids[0]);
  await waitForDeath([pids[0]]);
  const replies = await Promise.all(clients.map((client) => client.ask()));
  const after = await service.pids();
  expect(replies.every(({ body }) => after.includes(Number(body)))).toBe(true);
  expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
}

test('a Unix socket', async () => {
  const socket = path.join(temporaryFolder(), 'socket');
  function server() {
    const http = require('node:http');
    http.createServer((request_, response) => response.end(`${process.pid}`)).listen(process.env.SOCKET);
  }
  const service = await startService({ worker: server, env: { SOCKET: socket } });
  await expectIdleOnesToMove(service, socket);
  await service.call('reload');
  expect((await request(socket)).status).toBe(200);
});

test('a shared socket, under SCHED_NONE', async () => {
  const service = await startService({ worker: pidServer, options: { policy: 'none' } });
  await expectIdleOnesToMove(service, service.port);
});

test('a shared socket, under SCHED_NONE, while requests come', async () => {
  const service = await startService({ worker: pidServer, options: { policy: 'none' } });
  let reloading = true;
  const reload = service.call('reload').finally(() => (reloading = false));
  while (reloading) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => service.get()));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
  }
  await reload;
});

describe('a socket of its own (exclusive)', () => {
  function server() {
    const http = require('node:http');
    const fs = require('node:fs');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    const own = http.createServer(async (request_, response) => {
      if (request_.url === '/slow') await draining;
      response.end(`${process.pid}`);
    });
    own.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => fs.writeFileSync(`${process.env.FOLDER}/${process.pid}`, `${own.address().port}`));
  }

  test('what is busy is answered, and an idle connection is closed after half of the time', async () => {
    const folder = temporaryFolder();
    const service = await startService({ worker: server, env: { FOLDER: folder }, options: { drainTimeout: 1000 } });
    const [pid] = await service.pids();
    const port = Number(require('node:fs').readFileSync(path.join(folder, `${pid}`), 'utf8'));
    const [busy, idle] = [new KeepAliveClient(port), new KeepAliveClient(port)];
    await Promise.all([busy.ask(), idle.ask()]);
    const reply = busy.ask('/slow');
    await service.retire(pid);
    expect(await reply).toMatchObject({ status: 200, body: `${pid}` });
    await expect(request(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await idle.ask()).toMatchObject({ status: 200, body: `${pid}` });
    expect(await service.exitOf(pid)).toMatchObject({ code: 0 });
    expect([busy.closed, idle.closed]).toEqual([1, 1]);
  });
});

test('a UDP socket: replies that are under way are sent', async () => {
  function server() {
    const dgram = require('node:dgram');
    const socket = dgram.createSocket('udp4');
    const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
    socket.on('message', async (message, { port }) => {
      if (`${message}` === 'late') await draining;
      socket.send(`${process.pid}`, port, '127.0.0.1');
    });
    socket.bind(0, '127.0.0.1');
    // Something to be busy with, as a socket is not.
    require('node:http').createServer((request_, response) => draining.then(() => setTimeout(() => response.end(), 200))).listen(0, '127.0.0.1');
  }
  const service = await startService({ worker: server, options: { workers: 1 } });
  const { port: udpPort } = await service.event('listening', ({ addressType }) => addressType === 'udp4');
  const { port: httpPort } = await service.event('listening', ({ addressType }) => addressType === 4);
  const client = require('node:dgram').createSocket('udp4');
  try {
    const [pid] = await service.pids();
    const answer = new Promise((resolve) => { client.once('message', (text) => resolve(Number(text))); });
    client.send('late', udpPort, '127.0.0.1');
    const busy = request(httpPort);
    await service.retire(pid);
    expect(await answer).toBe(pid);
    await busy;
    await waitForDeath([pid]);
  } finally {
    client.close();
  }
});
