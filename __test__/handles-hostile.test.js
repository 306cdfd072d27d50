'use strict';

// Handles of a worker that means no good, or has just been unlucky: they cost the primary nothing that it did not ask for.

const { runScenario } = require('./helpers/scenario');
const { SocketLists } = require('../lib/handles/socket_lists.js');

const OK = { code: 0, signal: null };

test('handles that nobody listens for are closed; those of a message that somebody waits for come', async () => {
  const { primary, exit, stderr } = await runScenario({
    async primary({ cluster, once, report, until }) {
      const fs = require('node:fs');
      const descriptors = () => fs.readdirSync('/proc/self/fd').length;
      const worker = cluster.fork();
      await once(worker, 'online');
      // A listener that has gone does not count.
      for (const emitter of [worker, worker.process, cluster]) {
        const listener = () => {};
        emitter.on('message', listener);
        emitter.off('message', listener);
      }
      const before = descriptors();
      worker.send('flood');
      await once(worker, 'listening');
      report(descriptors() < before + 50);
      for (const emitter of [worker, worker.process, cluster]) {
        worker.send('one');
        const args = await once(emitter, 'message');
        args.at(-1).close();
        report(args.at(-1).constructor.name);
      }
      worker.process.removeAllListeners('message');
      worker.send('one');
      worker.send('another server');
      await once(worker, 'listening');
      // Nothing leads to the listeners of `cluster` any more.
      cluster.on('message', () => report('heard by nobody'));
      worker.process.on('internalMessage', (_message, handle) => {
        report(handle.constructor.name);
        handle.close();
        worker.process.kill();
      });
      worker.send('internal');
      await until(() => worker.isDead());
    },
    worker() {
      const net = require('node:net');
      const own = net.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true });
      process.on('message', (message) => {
        // Its `listening` comes after what was sent before.
        if (message === 'another server') net.createServer().listen(0, '127.0.0.1');
        else if (message === 'flood') for (let i = 0; i < 500; i++) process.send({ i }, own._handle);
        else process.send(message === 'internal' ? { cmd: 'NODE_OTHER' } : { message }, own._handle);
        if (message === 'flood') net.createServer().listen(0, '127.0.0.1');
      });
    },
  });
  expect(primary).toEqual([true, 'TCP', 'TCP', 'TCP', 'TCP']);
  expect([exit, stderr]).toEqual([OK, []]);
});

test('a connection that nobody listens for is ended, but not before its client can do anything; of many the oldest at once', async () => {
  const { primary, exit, stderr } = await runScenario({
    async primary({ cluster, once, report, until }) {
      const net = require('node:net');
      const worker = cluster.fork();
      await once(worker, 'online');
      const server = net.createServer((socket) => worker.send('back', socket)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const begin = () => {
        const client = { began: performance.now(), lasted: 0 };
        const socket = net.connect(server.address().port, '127.0.0.1').resume();
        socket.on('close', () => (client.lasted = performance.now() - client.began));
        return client;
      };
      const first = begin();
      await until(() => first.lasted > 0);
      report(first.lasted > 900);
      const many = Array.from({ length: 20 }, begin);
      await until(() => many.every(({ lasted }) => lasted > 0));
      const ends = many.map(({ began, lasted }) => began + lasted).sort((a, b) => a - b);
      report(ends[4] - ends[3] > 100);
      server.close();
      worker.disconnect();
    },
    worker() {
      process.on('message', (message, socket) => process.send(message, socket));
    },
  });
  expect(primary).toEqual([true, true]);
  expect([exit, stderr]).toEqual([OK, []]);
});

test('an error of a handle that has come from a worker ends nobody', async () => {
  const { primary, exit, stderr } = await runScenario({
    async primary({ forkReady, once, report, until }) {
      const worker = await forkReady();
      worker.send('datagram');
      const [, socket] = await once(worker, 'message');
      // Its error was pending when it came. It is as good as any other.
      report(socket.address().address);
      worker.send('server');
      const [, server] = await once(worker, 'message');
      // As it comes from accept(2) on a socket that its sender has ended.
      server._handle.onconnection(-22);
      await until(() => !server.listening);
      report('closed');
      worker.send('server');
      const [, other] = await once(worker, 'message');
      other.on('error', ({ code }) => report(code));
      other._handle.onconnection(-22);
      report(other.listening);
      other.close();
      socket.close();
      worker.disconnect();
    },
    worker() {
      const dgram = require('node:dgram');
      const net = require('node:net');
      process.on('message', (message) => {
        if (message === 'server') {
          const server = net.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
            process.send(message, server);
            server.close();
          });
          return;
        }
        // Nobody is there.
        const gone = dgram.createSocket('udp4').bind({ port: 0, address: '127.0.0.1', exclusive: true }, () => {
          const { port } = gone.address();
          gone.close(() => {
            const socket = dgram.createSocket('udp4');
            socket.connect(port, '127.0.0.1', () => {
              // At once the kernel knows, and tells the next who asks: that is not this process.
              socket.send('nobody hears this');
              process.send(message, socket);
              socket.close();
            });
          });
        });
      });
      process.send('ready');
    },
  });
  expect([exit, stderr]).toEqual([OK, []]);
  expect(primary).toEqual(['127.0.0.1', 'closed', 'EINVAL', true]);
});

describe('questions about sockets', () => {
  const { EventEmitter } = require('node:events');

  /** The lists of a channel, and what they say to the other side. */
  function lists() {
    const said = [];
    const channel = { sendControl: (message) => said.push(message) };
    return { lists: new SocketLists(channel), said };
  }

  test('those that wait are all answered at the end, and there are only so many', () => {
    const { lists: side, said } = lists();
    const socket = new EventEmitter();
    side.got('key', socket);
    const ask = (question) => side.onControl({ act: 'await-sockets', key: 'key', question });
    for (let question = 1; question <= 4096; question++) expect(ask(question)).toBe(true);
    expect(ask(4097)).toBe(false);
    expect(said).toEqual([]);
    socket.emit('close');
    expect(said).toHaveLength(4097);
    expect(said[4095]).toEqual({ act: 'socket-answer', question: 4096, answer: 0 });
    // There is room again.
    side.got('key', new EventEmitter());
    expect(ask(1)).toBe(true);
  });

  test('nothing is said any more when the other side has gone', () => {
    const { lists: side, said } = lists();
    const socket = new EventEmitter();
    side.got('key', socket);
    side.onControl({ act: 'await-sockets', key: 'key', question: 1 });
    side.close();
    socket.emit('close');
    expect(said).toEqual([]);
  });

  test.each(['key', '__proto__', 'constructor', ''])('a server of any name (%j)', (key) => {
    const { lists: side, said } = lists();
    side.onControl({ act: 'count-sockets', key, question: 1 });
    const socket = new EventEmitter();
    side.got(key, socket);
    side.onControl({ act: 'count-sockets', key, question: 2 });
    socket.emit('close');
    side.onControl({ act: 'count-sockets', key, question: 3 });
    expect(said.map(({ answer }) => answer)).toEqual([0, 1, 0]);
  });

  test('an answer that makes no sense is 0, one that nobody asked for is nothing', () => {
    const { lists: side, said } = lists();
    const answers = [];
    const given = [3, -1, 1.5, Infinity, '7', null, 2 ** 60];
    for (const answer of given) {
      side.ask({ act: 'count-sockets', key: 'key' }, (count) => answers.push(count));
      expect(side.onControl({ act: 'socket-answer', question: said.at(-1).question, answer })).toBe(true);
      side.onControl({ act: 'socket-answer', question: said.at(-1).question, answer: 9 });
    }
    expect(answers).toEqual([3, 0, 0, 0, 0, 0, 0]);
  });

  test('a question has a number', () => {
    const { lists: side, said } = lists();
    expect(side.onControl({ act: 'count-sockets', key: 'key', question: 'x'.repeat(1000) })).toBe(false);
    expect(said).toEqual([]);
  });
});
