'use strict';

// Handles in odd states, as the built-in module has it: sockets that are not connected yet, or no more, and what is
// no handle at all.

const { compare, runScenario } = require('./helpers/scenario');

/** What `send` returns, throws and calls back, what arrives, and what is left of the handle. */
const odd = {
  async primary({ args, describe, forkReady, once, report, until }) {
    const { createReadStream } = require('node:fs');
    const dgram = require('node:dgram');
    const http = require('node:http');
    const net = require('node:net');
    const worker = await forkReady();
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sockets = [];
    const pair = async () => {
      const client = net.connect(server.address()).on('error', () => {});
      const [socket] = await once(server, 'connection');
      sockets.push(client, socket.on('error', () => {}));
      return { client, socket };
    };
    const listening = (emitter) => once(emitter, 'listening').then(() => emitter);
    const kinds = {
      connecting: () => net.connect({ port: 1, host: 'nowhere', lookup: () => {} }),
      'never connected': () => new net.Socket(),
      destroyed: async () => (await pair()).socket.destroy(),
      paused: async () => (await pair()).socket.pause(),
      'with data in its buffer': async () => {
        const { client, socket } = await pair();
        socket.once('readable', () => {});
        client.write('hello');
        await until(() => socket.readableLength > 0);
        return socket;
      },
      'with much to write': async () => {
        const { client, socket } = await pair();
        client.pause();
        socket.write(Buffer.alloc(3e6));
        return socket;
      },
      'of a class of its own': async () => {
        class Own extends net.Socket {}
        return Object.setPrototypeOf((await pair()).socket, Own.prototype);
      },
      'server that does not listen': () => net.createServer(),
      'server that has closed': async () => (await listening(net.createServer().listen(0))).close(),
      'HTTP server': () => listening(http.createServer().listen(0)),
      'datagram socket without a port': () => dgram.createSocket('udp4'),
      'datagram socket that has closed': async () => (await listening(dgram.createSocket('udp4').bind(0))).close(),
      'datagram socket of IPv6': () => listening(dgram.createSocket('udp6').bind(0)),
      'connected datagram socket': async () => {
        const socket = dgram.createSocket('udp4');
        socket.connect(9, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      },
      'raw and closed': async () => {
        const { _handle: handle } = (await pair()).socket;
        handle.close();
        return handle;
      },
      'raw and new': async () => new (await pair()).socket._handle.constructor(0),
      'raw and not of a socket': () => require('node:child_process').spawn('true')._handle,
      'sent before': async () => {
        const { socket } = await pair();
        worker.send('before', socket);
        return socket;
      },
      'sent before and kept': async () => {
        const { socket } = await pair();
        worker.send('before', socket, { keepOpen: true });
        return socket;
      },
      'file stream': () => createReadStream(process.execPath),
      number: () => 5,
      object: () => ({ fd: 1, _handle: { fd: 1 } }),
    };
    for (const [kind, make] of Object.entries(kinds)) {
      const handle = await make();
      const seen = [];
      const heard = [];
      worker.on('message', (message) => heard.push(message));
      try {
        const done = new Promise((resolve) => { seen.push(worker.send(kind, handle, args, (error) => resolve(error ? describe(error) : null))); });
        seen.push(await done);
      } catch (error) {
        seen.push(describe(error));
      }
      worker.send('after');
      await until(() => heard.some(([message]) => message === 'after'));
      worker.removeAllListeners('message');
      const isSocket = handle instanceof net.Socket;
      report([kind, ...seen, heard, isSocket && [handle._handle === null, handle.destroyed]]);
      handle.destroy?.();
      if (handle instanceof net.Server || handle instanceof dgram.Socket) try { handle.close(); } catch { /* Closed already. */ }
    }
    for (const socket of sockets) socket.destroy();
    process.kill(worker.process.pid, 'SIGKILL');
    await once(worker, 'exit');
    report(worker.send('to a dead one', (await pair()).socket, (error) => {
      report(describe(error));
      process.exit();
    }));
  },
  worker() {
    process.on('message', (message, handle) => {
      process.send([message, handle ? handle.constructor.name : String(handle)]);
      handle?.on('error', () => {});
      if (handle?.destroy) handle.destroy();
      else handle?.close();
    });
    process.send('ready');
  },
};

test.each([{}, { keepOpen: true }])('%j', async (options) => {
  const { primary, exit, stderr } = await compare(odd, { args: options });
  expect([exit, stderr]).toEqual([{ code: 0, signal: null }, []]);
  expect(primary).toHaveLength(24);
  const unconnected = primary.find(([kind]) => kind === 'connecting');
  expect(unconnected.slice(1, 4)).toEqual([true, expect.objectContaining({ code: 'EBADF' }), [['after', 'undefined']]]);
});

test('a TLS socket is refused, and stays what it was', async () => {
  const { primary } = await runScenario({
    async primary({ describe, forkReady, once, report }) {
      const tls = require('node:tls');
      const worker = await forkReady();
      const psk = Buffer.from('74657374', 'hex');
      const server = tls.createServer({ ciphers: 'PSK', pskCallback: () => psk }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const options = { ciphers: 'PSK', pskCallback: () => ({ psk, identity: 'test' }), checkServerIdentity: () => undefined };
      const client = tls.connect({ port: server.address().port, host: '127.0.0.1', ...options });
      const [socket] = await once(server, 'secureConnection');
      for (const handle of [socket, socket._handle]) {
        try {
          worker.send('TLS', handle);
        } catch (error) {
          report(describe(error).code);
        }
      }
      socket.end('still encrypted');
      report((await client.setEncoding('utf8').toArray()).join(''));
      server.close();
      worker.disconnect();
    },
    worker() {
      process.on('message', () => {});
      process.send('ready');
    },
  });
  expect(primary).toEqual(['ERR_INVALID_HANDLE_TYPE', 'ERR_INVALID_HANDLE_TYPE', 'still encrypted']);
});

test('messages come in their order, with and without handles, in both directions', async () => {
  const { primary, worker } = await compare({
    async primary({ forkReady, once, report }) {
      const { all } = require('./handles');
      const child = await forkReady();
      const heard = [];
      child.on('message', (message) => heard.push(message));
      for (const [name, handle] of await all()) child.send(name, handle);
      await once(child, 'disconnect');
      report(heard);
      process.exit();
    },
    async worker({ report }) {
      const { all } = require('./handles');
      const heard = [];
      process.on('message', async (message) => {
        heard.push(message);
        if (message !== 'end') return;
        report(heard);
        for (const [name, handle] of await all()) process.send(name, handle);
        process.disconnect();
      });
      process.send('ready');
    },
  });
  const order = ['server', 'alone', 'datagram socket', 'alone', 'raw', 'server', 'end'];
  expect([primary, worker]).toEqual([[order], [order]]);
});
