'use strict';

// Servers and sockets that go along with a message.

const { compare, runScenario } = require('./helpers/scenario');

const OK = { code: 0, signal: null };

/** Sends one of each kind, to the worker or to the primary; the receiver answers through it. */
const everyKind = {
  async primary({ args, cluster, forkReady, once, report }) {
    const { answer, kinds } = require('./handles');
    cluster.setupPrimary({ serialization: args.serialization });
    const worker = await forkReady();
    if (args.sender === 'worker') {
      worker.on('message', ({ kind }, handle) => {
        report([kind, handle.constructor.name]);
        answer(kind, handle);
        worker.send('answering');
      });
      worker.send('send');
      await once(worker, 'exit');
      return;
    }
    for (const [kind, make] of Object.entries(kinds)) {
      if (args.without === kind) continue;
      const { ask, close, handle } = await make();
      worker.send({ kind }, handle);
      const [type] = await once(worker, 'message');
      report([kind, type, (await ask()).replace(worker.process.pid, 'the receiver')]);
      close();
    }
    worker.disconnect();
  },
  worker({ once, report }) {
    const { answer, kinds } = require('./handles');
    const sendAll = async () => {
      for (const [kind, make] of Object.entries(kinds)) {
        const { ask, close, handle } = await make();
        process.send({ kind }, handle);
        await once(process, 'message');
        report([kind, (await ask()).replace(process.ppid, 'the receiver')]);
        close();
      }
      process.disconnect();
    };
    process.on('message', (message, handle) => {
      if (message === 'send') sendAll();
      if (!message.kind) return;
      process.send(handle.constructor.name);
      answer(message.kind, handle);
    });
    process.send('ready');
  },
};

const TYPES = {
  'net.Server': 'Server',
  'net.Server on a pipe': 'Server',
  'net.Socket': 'Socket',
  'net.Socket on a pipe': 'Socket',
  'dgram.Socket': 'Socket',
  'a raw listening TCP handle': 'TCP',
  'a raw connected TCP handle': 'TCP',
  'a raw listening Pipe handle': 'Pipe',
  'a raw connected Pipe handle': 'Pipe',
  'a raw UDP handle': 'UDP',
};
const answerThrough = (kind) => (/Socket( on|$)|connected/.test(kind) && !kind.startsWith('dgram') ? 'early the receiver' : 'the receiver');

test.each(['json', 'advanced'])('every kind can be sent to a worker and be used there (%s)', async (serialization) => {
  // Node itself cannot make this one usable in a worker.
  const without = 'net.Server on a pipe';
  const { primary, exit } = await compare(everyKind, { args: { serialization, sender: 'primary', without } });
  const kinds = Object.entries(TYPES).filter(([kind]) => kind !== without);
  expect(primary).toEqual(kinds.map(([kind, type]) => [kind, type, answerThrough(kind)]));
  expect(exit).toEqual(OK);
});

test('with ours that is really every kind', async () => {
  const { primary } = await runScenario(everyKind, { args: { serialization: 'json', sender: 'primary' } });
  expect(primary).toContainEqual(['net.Server on a pipe', 'Server', 'the receiver']);
});

test.each(['json', 'advanced'])('and to the primary (%s)', async (serialization) => {
  const { primary, worker, exit } = await compare(everyKind, { args: { serialization, sender: 'worker' } });
  expect(primary).toEqual(Object.entries(TYPES));
  expect(worker).toEqual(Object.keys(TYPES).map((kind) => [kind, answerThrough(kind)]));
  expect(exit).toEqual(OK);
});

test('with keepOpen both processes use the socket', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const net = require('node:net');
      const { readAll } = require('./handles');
      const worker = await forkReady();
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect(server.address());
      const [socket] = await once(server, 'connection');
      worker.send('socket', socket, { keepOpen: true });
      await once(worker, 'message');
      socket.end('the primary');
      server.close();
      worker.disconnect();
      report(await readAll(client));
    },
    worker() {
      process.on('message', (_message, socket) => socket.write('the worker and ', () => process.send('written')));
      process.send('ready');
    },
  });
  expect(primary).toEqual(['the worker and the primary']);
});

test('a socket that has been sent is no longer the sender\'s: a second message goes without it', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report, until }) {
      const net = require('node:net');
      const { readAll } = require('./handles');
      const worker = await forkReady();
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect(server.address());
      const [socket] = await once(server, 'connection');
      const messages = [];
      worker.on('message', (message) => messages.push(message));
      worker.send('first', socket);
      worker.send('second', socket);
      const text = await readAll(client);
      await until(() => messages.length === 2);
      report([...messages, socket._handle, text]);
      server.close();
      worker.disconnect();
    },
    worker() {
      process.on('message', (message, socket) => {
        process.send([message, typeof socket]);
        socket?.end('the worker');
      });
      process.send('ready');
    },
  });
  expect(primary).toEqual([[['first', 'object'], ['second', 'undefined'], null, 'the worker']]);
});

test('a request can be answered by a worker on the socket it came from', async () => {
  const { primary } = await compare({
    async primary({ forkReady, once, report }) {
      const http = require('node:http');
      const worker = await forkReady();
      const server = http.createServer((request) => worker.send(request.url, request.socket));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const asked = http.get({ host: '127.0.0.1', port: server.address().port, path: '/a', agent: false });
      const [response] = await once(asked, 'response');
      report([response.statusCode, (await response.toArray()).join('')]);
      server.close();
      worker.disconnect();
    },
    worker() {
      process.on('message', (url, socket) => {
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n${url}`);
      });
      process.send('ready');
    },
  });
  expect(primary).toEqual([[200, '/a']]);
});

/** A primary whose server sends all connections but one to two workers, and workers that close one when told so. */
const shared = {
  async primary({ args, forkReady, once, report }) {
    const net = require('node:net');
    const workers = [await forkReady(), await forkReady()];
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const kept = [];
    for (let i = 0; i < 5; i++) {
      net.connect(server.address()).on('error', () => {});
      const [socket] = await once(server, 'connection');
      if (i === 4) kept.push(socket);
      else workers[i % 2].send('socket', socket);
      if (i < 4) await once(workers[i % 2], 'message');
    }
    const count = () => new Promise((resolve) => { server.getConnections((_error, number) => resolve(number)); });
    const closeOne = async (worker) => {
      worker.send('close one');
      await once(worker, 'message');
    };
    if (args === 'count') {
      report(await count());
      await closeOne(workers[0]);
      report(await count());
      // A worker that dies takes its sockets with it.
      workers[1].process.kill('SIGKILL');
      await Promise.all([once(workers[1], 'exit'), once(workers[1], 'disconnect')]);
      report(await count());
    } else {
      kept[0].destroy();
      server.on('close', () => report('closed'));
      server.close();
      for (const worker of [workers[0], workers[0], workers[1]]) await closeOne(worker);
      report('one is left');
      await closeOne(workers[1]);
    }
    for (const worker of workers) if (worker.isConnected()) worker.disconnect();
    for (const socket of kept) socket.destroy();
    if (args === 'count') process.exit();
  },
  worker({ once }) {
    const sockets = [];
    process.on('message', async (message, socket) => {
      if (socket) {
        sockets.push(socket);
      } else {
        const one = sockets.pop();
        one.destroy();
        await once(one, 'close');
      }
      process.send('done');
    });
    process.send('ready');
  },
};

test('a server counts the sockets that it has sent', async () => {
  const { primary } = await compare(shared, { args: 'count' });
  expect(primary).toEqual([5, 4, 2]);
});

test('and closes when the last of them has', async () => {
  const { primary } = await compare(shared, { args: 'close' });
  expect(primary).toEqual(['one is left', 'closed']);
});
