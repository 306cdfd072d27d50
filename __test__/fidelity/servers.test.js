'use strict';

// What the servers of workers can do on newer Nodes, side by side with the built-in module. What a Node does not have
// shows on both sides alike.

const { compare, runScenario } = require('../helpers/scenario');

/** A primary that forks one worker, and asks its server as the worker's messages say. */
async function primary({ cluster, once, report }) {
  const net = require('node:net');
  const worker = cluster.fork();
  const { basename } = require('node:path');
  cluster.on('listening', (_, { addressType, address, port }) => {
    report(['listening', addressType, address && basename(address), port > 0]);
  });
  const sockets = [];
  worker.on('message', async ({ connect, write, wait, end, done, port, path, tell }) => {
    if (tell !== undefined) report(tell);
    if (connect !== undefined) {
      for (let i = 0; i < connect; i++) {
        const socket = path ? net.connect(path) : net.connect(port, '127.0.0.1');
        socket.on('error', () => {});
        sockets.push(socket);
        if (write) socket.write(write);
        if (wait === 'close') await Promise.race([once(socket, 'close'), once(socket.resume(), 'end')]);
        else if (wait) await once(socket, wait);
      }
      worker.send('connected');
    }
    if (end !== undefined) {
      sockets[end].destroy();
      worker.send('ended');
    }
    if (done) {
      for (const socket of sockets) socket.destroy();
      worker.disconnect();
    }
  });
  await once(worker, 'exit');
}

test('dropMaxConnection and the event "drop"', async () => {
  const scenario = {
    primary,
    async worker({ once, report, until }) {
      const net = require('node:net');
      const server = net.createServer((socket) => socket.on('error', () => {}).resume().write('hello'));
      let drops = 0;
      server.on('drop', ({ localAddress, remoteAddress, localPort, remotePort, localFamily, remoteFamily }) => {
        drops++;
        report([localAddress, remoteAddress, localPort === server.address().port, remotePort > 0, localFamily, remoteFamily]);
      });
      server.maxConnections = 1;
      server.dropMaxConnection = true;
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address();
      process.send({ connect: 1, wait: 'data', port });
      await once(process, 'message');
      process.send({ connect: 2, wait: 'close', port });
      await until(() => drops === 2);
      await new Promise((resolve) => { server.getConnections((error, count) => resolve(report([error, count]))); });
      process.send({ done: true });
    },
  };
  const ours = await runScenario(scenario);
  const drop = ['127.0.0.1', '127.0.0.1', true, true, 'IPv4', 'IPv4'];
  expect(ours.worker).toEqual([drop, drop, [null, 1]]);
  // Node 20 does not know dropMaxConnection: its primary offers the connections again and again.
  const builtin = await runScenario(scenario, { side: 'builtin', timeout: 4000 }).catch(() => null);
  if (builtin) expect(ours).toEqual(builtin);
});

test('closeIdleConnections, closeAllConnections and getConnections', async () => {
  await compare({
    primary,
    async worker({ once, report, until }) {
      const http = require('node:http');
      const count = () => new Promise((resolve) => { server.getConnections((error, number) => resolve(number)); });
      const server = http.createServer((request, response) => request.url === '/busy' || response.end('done'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address();
      process.send({ connect: 2, write: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', wait: 'data', port });
      await once(process, 'message');
      process.send({ connect: 1, write: 'GET /busy HTTP/1.1\r\nHost: a\r\n\r\n', wait: 'connect', port });
      await once(server, 'request');
      report(await count());
      server.closeIdleConnections();
      await until(async () => (await count()) === 1);
      report(await count());
      server.closeAllConnections();
      await until(async () => (await count()) === 0);
      report([await count(), server.listening]);
      process.send({ done: true });
    },
  });
});

test.each(['net', 'http', 'dgram'])('Symbol.asyncDispose of a server: %s', async (kind) => {
  await compare(
    {
      primary,
      async worker({ args, cluster, once, report }) {
        const server = args === 'dgram' ? require('node:dgram').createSocket('udp4') : require(`node:${args}`).createServer();
        server[args === 'dgram' ? 'bind' : 'listen'](0, '127.0.0.1');
        await once(server, 'listening');
        server.on('close', () => report('close'));
        const dispose = Symbol.asyncDispose && server[Symbol.asyncDispose];
        report(typeof dispose);
        if (dispose) await server[Symbol.asyncDispose]();
        else await new Promise((resolve) => { server.close(resolve); });
        report([server.listening ?? null, cluster.worker.state]);
        // Once more is no error.
        if (dispose) report(typeof (await server[Symbol.asyncDispose]()));
        process.send({ done: true });
      },
    },
    { args: kind },
  );
});

test('net.BoundSocket, on the Node that has it', async () => {
  await compare({
    primary,
    async worker({ describe, once, report }) {
      const net = require('node:net');
      report(typeof net.BoundSocket);
      if (net.BoundSocket) {
        try {
          const bound = new net.BoundSocket({ port: 0, host: '127.0.0.1' });
          const { address, family, port } = bound.address();
          report([address, family, port > 0]);
          const server = net.createServer((socket) => socket.end('hello'));
          server.listen(bound);
          await once(server, 'listening');
          report([server.address().address, server.address().port === port]);
          process.send({ connect: 1, wait: 'data', port });
          await once(process, 'message');
          await new Promise((resolve) => { server.close(resolve); });
        } catch (error) {
          report(describe(error));
        }
      }
      process.send({ done: true });
    },
  });
});

test('Unix sockets: by path, their permissions, a path that is taken or too long', async () => {
  await compare({
    primary,
    async worker({ describe, once, report }) {
      const fs = require('node:fs');
      const net = require('node:net');
      const os = require('node:os');
      const path = require('node:path');
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-unix-'));
      const listen = async (options) => {
        const server = net.createServer((socket) => socket.end('hello'));
        server.listen(options);
        await Promise.race([once(server, 'listening'), once(server, 'error').then(([error]) => Promise.reject(error))]);
        const named = server.address();
        report(typeof named === 'string' ? named.replace(folder, 'F') : named);
        return server;
      };
      const close = (server) => new Promise((resolve) => { server.close(resolve); });
      try {
        const file = path.join(folder, 'first.sock');
        const first = await listen(file);
        process.send({ connect: 1, wait: 'data', path: file });
        await once(process, 'message');
        await close(first);
        const open = await listen({ path: file, readableAll: true, writableAll: true });
        report((fs.statSync(file).mode & 0o777).toString(8));
        await close(open);
        fs.writeFileSync(path.join(folder, 'file'), '');
        for (const taken of ['file', 'no/such/folder', 'x'.repeat(200)]) {
          await listen(path.join(folder, taken)).catch((error) => {
            report({ ...describe(error), message: error.message.replace(folder, 'F'), syscall: error.syscall });
          });
        }
      } finally {
        fs.rmSync(folder, { recursive: true });
      }
      process.send({ done: true });
    },
  });
});

// Node takes the abstract name for a path in the working directory, and cannot be found by that name.
test('abstract Unix sockets', async () => {
  const { primary: reports, worker } = await runScenario({
    primary,
    async worker({ once, report }) {
      const net = require('node:net');
      const name = `\0rcluster-fidelity-${process.pid}`;
      const server = net.createServer((socket) => socket.end('hello')).listen(name);
      await once(server, 'listening');
      report(server.address() === name);
      process.send({ connect: 1, wait: 'data', path: name });
      await once(process, 'message');
      process.send({ done: true });
    },
  });
  expect(reports).toEqual([['listening', -1, expect.stringMatching(/^\0rcluster-fidelity-\d+$/), false]]);
  expect(worker).toEqual([true]);
});

test('addresses: what listen makes of hosts, families and ports', async () => {
  const { worker } = await compare({
    primary,
    async worker({ describe, report }) {
      const net = require('node:net');
      const cases = [
        { port: 0 },
        { port: '0' },
        { port: 0, host: '::1' },
        { port: 0, host: '0.0.0.0' },
        { port: 0, host: '::', ipv6Only: true },
        { port: 0, host: '127.0.0.1', backlog: 1 },
        { port: 0, host: '127.0.0.1', backlog: '7' },
        { port: 0, host: '127.0.0.1', backlog: {} },
        { port: 0, host: '203.0.113.7' },
        { port: 0, host: 'no-such-host.invalid' },
        { port: -1 },
        { port: 65536 },
        { port: 'x' },
        { fd: 1 },
        { fd: 9999 },
        {},
        { path: '' },
        [0, '127.0.0.1', 5],
        [0, '127.0.0.1', () => {}],
        [0, () => {}],
        [],
      ];
      for (const options of cases) {
        const text = JSON.stringify(options);
        const server = net.createServer();
        const outcome = await new Promise((resolve) => {
          server.on('listening', () => {
            const { address, family, port } = server.address();
            resolve([address, family, port > 0, server.listening]);
          });
          server.on('error', (error) => resolve({ ...describe(error), syscall: error.syscall, errno: error.errno }));
          try {
            if (Array.isArray(options)) server.listen(...options);
            else server.listen(options);
          } catch (error) {
            resolve(['thrown', describe(error)]);
          }
        });
        report([text, outcome]);
        if (server.listening) await new Promise((resolve) => { server.close(resolve); });
      }
      process.send({ done: true });
    },
  });
  expect(worker).toHaveLength(21);
});
