'use strict';

// Several servers, in several workers, on the same or on other addresses.

const { testWith } = require('./helpers/needs');
const { compare, runScenario } = require('./helpers/scenario');

test('port 0 is one port for all workers, and another for each of their servers', async () => {
  const { primary } = await compare({
    primary({ cluster, report }) {
      const ports = { one: new Set(), two: new Set() };
      let count = 0;
      cluster.on('message', (_worker, [server, port]) => {
        ports[server].add(port);
        if (++count < 6) return;
        report([ports.one.size, ports.two.size, new Set([...ports.one, ...ports.two]).size]);
        cluster.disconnect();
      });
      for (let i = 0; i < 3; i++) cluster.fork();
    },
    worker() {
      for (const name of ['one', 'two']) {
        const server = require('node:net').createServer();
        server.listen(0, '127.0.0.1', () => process.send([name, server.address().port]));
      }
    },
  });
  expect(primary).toEqual([[1, 1, 2]]);
});

/** A worker that tries to listen on the port in its environment, and again whenever it is told. */
const trying = {
  async primary({ cluster, once, report }) {
    const other = require('node:net').createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address();
    const worker = cluster.fork({ LISTEN: port });
    const told = (outcome) => {
      if (outcome.port === port) outcome.port = 'the port';
      if (outcome.message) outcome.message = outcome.message.replace(port, 'the port');
      report(outcome);
    };
    told((await once(worker, 'message'))[0]);
    worker.send('again');
    told((await once(worker, 'message'))[0]);
    other.close();
    await once(other, 'close');
    worker.send('again');
    told((await once(worker, 'message'))[0]);
    worker.disconnect();
  },
  worker({ describe }) {
    const server = require('node:net').createServer();
    const listen = () => server.listen(Number(process.env.LISTEN), '127.0.0.1');
    server.on('error', (error) => process.send({ ...describe(error), ...error, listening: server.listening }));
    server.on('listening', () => process.send({ ...server.address(), listening: server.listening }));
    process.on('message', listen);
    listen();
  },
};

test('a port that another process has is an error event, and the server can listen when it is free', async () => {
  const { primary } = await compare(trying);
  const inUse = { code: 'EADDRINUSE', errno: -98, syscall: 'bind', address: '127.0.0.1', port: 'the port', listening: false };
  expect(primary).toMatchObject([inUse, inUse, { address: '127.0.0.1', port: 'the port', listening: true }]);
});

test('two servers of one worker on one port: as the running Node has it', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const free = require('node:net').createServer().listen(0, '127.0.0.1');
      await once(free, 'listening');
      const { port } = free.address();
      free.close();
      await once(free, 'close');
      const worker = cluster.fork({ LISTEN: port });
      const outcomes = [];
      worker.on('message', (outcome) => {
        outcomes.push(outcome);
        if (outcomes.length < 2) return;
        report(outcomes.sort());
        worker.disconnect();
      });
    },
    worker() {
      for (let i = 0; i < 2; i++) {
        const server = require('node:net').createServer();
        server.on('error', ({ code }) => process.send(code));
        server.listen(Number(process.env.LISTEN), '127.0.0.1', () => process.send('listening'));
      }
    },
  });
  expect(primary[0]).toContain('listening');
});

test('close() before the primary has answered: no event, and the port is free', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report, until }) {
      const net = require('node:net');
      const free = net.createServer().listen(0, '127.0.0.1');
      await once(free, 'listening');
      const { port } = free.address();
      free.close();
      await once(free, 'close');
      let listening = 0;
      cluster.on('listening', () => listening++);
      const worker = cluster.fork({ LISTEN: port });
      report((await once(worker, 'message'))[0]);
      await until(() => new Promise((resolve) => {
        const server = net.createServer().on('error', () => resolve(false));
        server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
      }));
      const again = once(worker, 'listening');
      worker.send('again');
      await again;
      report(listening);
      worker.disconnect();
    },
    worker() {
      const server = require('node:net').createServer();
      const events = [];
      server.on('listening', () => events.push('listening')).on('close', () => events.push('close'));
      const listen = () => server.listen(Number(process.env.LISTEN), '127.0.0.1');
      listen();
      server.close(() => process.send(events));
      process.once('message', listen);
    },
  });
  expect(primary).toEqual([['close'], 1]);
});

test('a server can close and listen again, on the same port and while another worker serves it', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const net = require('node:net');
      const free = net.createServer().listen(0, '127.0.0.1');
      await once(free, 'listening');
      const { port } = free.address();
      free.close();
      await once(free, 'close');
      const ask = async () => Number((await once(net.connect(port, '127.0.0.1'), 'data'))[0]);
      const workers = [cluster.fork({ LISTEN: port }), cluster.fork({ LISTEN: port })];
      await Promise.all(workers.map((worker) => once(worker, 'listening')));
      for (let i = 0; i < 5; i++) {
        const [one, other] = i % 2 ? workers : [...workers].reverse();
        one.send('close');
        await once(one, 'message');
        report((await ask()) === other.process.pid);
        const again = once(one, 'listening');
        one.send('listen');
        await again;
      }
      report(new Set([await ask(), await ask()]).size);
      cluster.disconnect();
    },
    worker() {
      const server = require('node:net').createServer((socket) => socket.end(`${process.pid}`));
      const listen = () => server.listen(Number(process.env.LISTEN), '127.0.0.1');
      process.on('message', (message) => {
        if (message === 'close') server.close(() => process.send('closed'));
        else listen();
      });
      listen();
    },
  });
  expect(primary).toEqual([true, true, true, true, true, 2]);
});

test('an exclusive server has a port of its own, of which the primary hears nothing', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      let listening = 0;
      cluster.on('listening', () => listening++);
      const workers = [cluster.fork(), cluster.fork()];
      const messages = await Promise.all(workers.map((worker) => once(worker, 'message')));
      report([new Set(messages.flatMap(([[tcp, udp]]) => [`tcp ${tcp}`, `udp ${udp}`])).size, listening]);
      for (const worker of workers) worker.kill();
    },
    worker() {
      const server = require('node:net').createServer();
      server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
        const socket = require('node:dgram').createSocket('udp4');
        socket.bind({ port: 0, address: '127.0.0.1', exclusive: true }, () => {
          process.send([server.address().port, socket.address().port]);
        });
      });
    },
  });
  expect(primary).toEqual([[4, 0]]);
});

test('a descriptor of the primary can be listened on', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report, until }) {
      const net = require('node:net');
      const server = net.createServer((socket) => socket.end('primary')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address();
      const worker = cluster.fork({ LISTEN: server._handle.fd });
      const [{ fd }] = await once(worker, 'listening');
      report(fd === server._handle.fd);
      // Both accept.
      await until(async () => {
        const [data] = await once(net.connect(port, '127.0.0.1'), 'data');
        return `${data}` === 'worker';
      });
      server.close();
      cluster.disconnect();
    },
    worker() {
      const server = require('node:net').createServer((socket) => socket.end('worker'));
      server.listen({ fd: Number(process.env.LISTEN) });
    },
  });
  expect(primary).toEqual([true]);
});

test('with SCHED_NONE the workers accept by themselves', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      cluster.schedulingPolicy = cluster.SCHED_NONE;
      const workers = [cluster.fork(), cluster.fork()];
      const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
      const ask = async () => String((await once(require('node:net').connect(port, '127.0.0.1'), 'data'))[0]);
      // Each is the only one that can for a while.
      for (const [one, other] of [workers, [...workers].reverse()]) {
        process.kill(other.process.pid, 'SIGSTOP');
        report((await ask()) === `${one.process.pid}`);
        process.kill(other.process.pid, 'SIGCONT');
      }
      cluster.disconnect();
    },
    worker() {
      require('node:net').createServer((socket) => socket.end(`${process.pid}`)).listen(0, '127.0.0.1');
    },
  });
  expect(primary).toEqual([true, true]);
});

test('a UDP port is shared by the workers', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const workers = [cluster.fork(), cluster.fork()];
      const infos = (await Promise.all(workers.map((worker) => once(worker, 'listening')))).flat();
      report(infos.map((info) => ({ ...info, port: info.port === infos[0].port })));
      const client = require('node:dgram').createSocket('udp4');
      for (const [one, other] of [workers, [...workers].reverse()]) {
        process.kill(other.process.pid, 'SIGSTOP');
        client.send('question', infos[0].port, '127.0.0.1');
        report(String((await once(client, 'message'))[0]) === `${one.process.pid}`);
        process.kill(other.process.pid, 'SIGCONT');
      }
      client.close();
      cluster.disconnect();
    },
    worker() {
      const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', (_message, { port }) => socket.send(`${process.pid}`, port, '127.0.0.1'));
      socket.bind(0, '127.0.0.1');
    },
  });
  const info = { addressType: 'udp4', address: '127.0.0.1', port: true, fd: -1 };
  expect(primary).toEqual([[info, info], true, true]);
});

test('TLS servers of all workers have the same session-ticket keys', async () => {
  const { primary } = await compare({
    async primary({ cluster, once, report }) {
      const workers = [cluster.fork(), cluster.fork()];
      const keys = (await Promise.all(workers.map((worker) => once(worker, 'message')))).map(([key]) => key);
      report([keys[0] === keys[1], keys[0].length]);
      cluster.disconnect();
    },
    worker() {
      const server = require('node:tls').createServer();
      server.listen(0, '127.0.0.1', () => process.send(server.getTicketKeys().toString('hex')));
    },
  });
  expect(primary).toEqual([[true, 96]]);
});

testWith('ss').each([[7, 7], [undefined, 511]])('a backlog of %s is what the kernel is asked for', async (backlog, expected) => {
  const { primary } = await runScenario({
    async primary({ args, cluster, once, report }) {
      const [{ port }] = await once(cluster.fork(), 'listening');
      const { stdout } = require('node:child_process').spawnSync('ss', ['-ltnH', `sport = :${port}`], { encoding: 'utf8' });
      const most = Number(require('node:fs').readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
      report([Number(stdout.trim().split(/\s+/)[2]), Math.min(args.expected, most)]);
      cluster.disconnect();
    },
    worker({ args }) {
      require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: args.backlog });
    },
  }, { args: { backlog, expected } });
  const [[asked, wanted]] = primary;
  expect(asked).toBe(wanted);
});
