'use strict';

// Many handles: they keep no descriptor anywhere, get into nobody's way, and those that no one has got are closed.

const { runScenario } = require('./helpers/scenario');

const OK = { code: 0, signal: null };

test('two processes that send each other hundreds at once do not wait for each other', async () => {
  const { primary, worker, exit } = await runScenario({
    async primary({ forkReady, report }) {
      const net = require('node:net');
      const child = await forkReady();
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        for (let i = 0; i < 500; i++) child.send(i, server._handle);
      });
      let got = 0;
      child.on('message', (_message, handle) => {
        handle.close();
        if (++got < 500) return;
        report(got);
        server.close();
        child.send('done');
      });
    },
    worker({ report }) {
      const net = require('node:net');
      let got = 0;
      process.on('message', (message, handle) => {
        if (message === 'done') {
          report(got);
          process.disconnect();
          return;
        }
        handle.close();
        got++;
      });
      process.send('ready');
      const server = net.createServer().listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
        for (let i = 0; i < 500; i++) process.send(i, server._handle);
        server.close();
      });
    },
  });
  expect(primary).toEqual([500]);
  expect(worker).toEqual([500]);
  expect(exit).toEqual(OK);
});

test('sockets on their way to a worker that dies are closed, and leave no descriptor', async () => {
  const { primary, exit } = await runScenario({
    async primary({ forkReady, once, report, until }) {
      const fs = require('node:fs');
      const net = require('node:net');
      const descriptors = () => fs.readdirSync('/proc/self/fd').length;
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      let before;
      for (let round = 0; round < 3; round++) {
        const worker = await forkReady();
        worker.on('error', () => {});
        process.kill(worker.process.pid, 'SIGSTOP');
        let closed = 0;
        for (let i = 0; i < 300; i++) {
          const client = net.connect(server.address());
          client.on('error', () => {}).on('close', () => closed++).resume();
          const [socket] = await once(server, 'connection');
          worker.send('socket', socket);
        }
        process.kill(worker.process.pid, 'SIGKILL');
        await until(() => closed === 300 && worker.isDead() && !worker.isConnected());
        report(closed);
        // The first round has opened what stays open.
        if (before) await until(() => descriptors() <= before);
        else before = descriptors();
      }
      server.close();
    },
    worker() {
      process.on('message', () => {});
      process.send('ready');
    },
  });
  expect(primary).toEqual([300, 300, 300]);
  expect(exit).toEqual(OK);
});

test('a worker gets thousands of sockets and closes them: nobody keeps one', async () => {
  const { primary, worker } = await runScenario({
    async primary({ forkReady, once, report, until }) {
      const fs = require('node:fs');
      const net = require('node:net');
      const descriptors = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;
      const child = await forkReady();
      const server = net.createServer((socket) => child.send('socket', socket)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const ask = () => new Promise((resolve) => {
        net.connect(server.address()).on('close', resolve).resume();
      });
      await ask();
      const before = [descriptors(process.pid), descriptors(child.process.pid)];
      for (let i = 0; i < 60; i++) await Promise.all(Array.from({ length: 50 }, ask));
      await until(() => descriptors(process.pid) <= before[0] && descriptors(child.process.pid) <= before[1]);
      report('as before');
      server.close();
      child.disconnect();
    },
    worker({ report }) {
      let count = 0;
      process.on('message', (_message, socket) => {
        count++;
        socket.end('bye');
      });
      process.on('exit', () => report(count));
      process.send('ready');
    },
  });
  expect(primary).toEqual(['as before']);
  expect(worker).toEqual([3001]);
});
