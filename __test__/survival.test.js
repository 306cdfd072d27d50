'use strict';

// A connection outlives the worker that it was meant for: another one serves it.

const { runScenario } = require('./helpers/scenario');

const serve = () => require('./serving').serve();

test('connections for a stopped worker are served by another, and it takes part again when it goes on', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, report, until }) {
      const { ask, askMany, forkListening } = require('./serving');
      const { workers: [one, other], port } = await forkListening(cluster, 2);
      process.kill(one.process.pid, 'SIGSTOP');
      const answers = await askMany(port, 40);
      report(answers[other.process.pid]);
      process.kill(one.process.pid, 'SIGCONT');
      await until(async () => (await ask(port)) === `${one.process.pid}`);
      cluster.disconnect();
    },
    worker: serve,
  });
  expect(primary).toEqual([40]);
});

test('connections for a worker that runs in circles are served by another, and it takes part again', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, report, until }) {
      const { ask, askMany, block, forkListening } = require('./serving');
      const { workers: [one, other], port } = await forkListening(cluster, 2);
      const blocked = await block(one);
      const answers = await askMany(port, 40);
      report(answers[other.process.pid]);
      blocked.end();
      await until(async () => (await ask(port)) === `${one.process.pid}`);
      cluster.disconnect();
    },
    worker: serve,
  });
  expect(primary).toEqual([40]);
});

describe('connections wait for the next worker', () => {
  test('when the only one is killed while it is stopped', async () => {
    const { primary } = await runScenario({
      async primary({ cluster, once, report }) {
        const { askMany, forkListening } = require('./serving');
        const { workers: [one], port } = await forkListening(cluster, 1);
        process.kill(one.process.pid, 'SIGSTOP');
        const answers = askMany(port, 40);
        one.process.kill('SIGKILL');
        await once(one, 'exit');
        const next = cluster.fork();
        report((await answers)[next.process.pid]);
        cluster.disconnect();
      },
      worker: serve,
    });
    expect(primary).toEqual([40]);
  });

  test('when the only one is killed while it runs in circles', async () => {
    const { primary } = await runScenario({
      async primary({ cluster, once, report }) {
        const { askMany, block, forkListening } = require('./serving');
        const { workers: [one], port } = await forkListening(cluster, 1);
        const blocked = await block(one);
        const answers = askMany(port, 40);
        one.process.kill('SIGKILL');
        await once(one, 'exit');
        blocked.end();
        const next = cluster.fork();
        report((await answers)[next.process.pid]);
        cluster.disconnect();
      },
      worker: serve,
    });
    expect(primary).toEqual([40]);
  });

  test('when the only one is stuck, and a second is forked', async () => {
    const { primary } = await runScenario({
      async primary({ cluster, report }) {
        const { askMany, block, forkListening } = require('./serving');
        const { workers: [one], port } = await forkListening(cluster, 1);
        const blocked = await block(one);
        const answers = askMany(port, 40);
        const next = cluster.fork();
        report((await answers)[next.process.pid]);
        blocked.end();
        cluster.disconnect();
      },
      worker: serve,
    });
    expect(primary).toEqual([40]);
  });
});

test('connections for a worker that is told to disconnect are served by another', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      const { askMany, forkListening } = require('./serving');
      const { workers: [one, other], port } = await forkListening(cluster, 2);
      process.kill(one.process.pid, 'SIGSTOP');
      const answers = askMany(port, 40);
      one.disconnect();
      report((await answers)[other.process.pid]);
      process.kill(one.process.pid, 'SIGCONT');
      report(await once(one, 'exit'));
      cluster.disconnect();
    },
    worker: serve,
  });
  expect(primary).toEqual([40, [0, null]]);
});

test('connections for a worker that closes its server are served by another', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, report }) {
      const { askMany, forkListening } = require('./serving');
      const { workers: [one, other], port } = await forkListening(cluster, 2);
      // It closes while connections are on their way to it.
      const before = Array.from({ length: 5 }, () => askMany(port, 8));
      one.send('close');
      const after = Array.from({ length: 5 }, () => askMany(port, 8));
      let served = 0;
      for (const answers of await Promise.all([...before, ...after])) {
        served += (answers[one.process.pid] ?? 0) + (answers[other.process.pid] ?? 0);
      }
      report([served, (await askMany(port, 10))[other.process.pid]]);
      cluster.disconnect();
    },
    worker: serve,
  });
  expect(primary).toEqual([[80, 10]]);
});

test('a worker that starts to listen under load gets its share', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report, until }) {
      const { ask, askMany, forkListening } = require('./serving');
      const { port } = await forkListening(cluster, 1);
      let loaded = true;
      const clients = Array.from({ length: 16 }, async () => {
        while (loaded) await ask(port);
      });
      const added = [];
      for (let i = 0; i < 5; i++) {
        const worker = cluster.fork();
        await once(worker, 'listening');
        added.push(`${worker.process.pid}`);
      }
      const seen = new Set();
      await until(async () => {
        for (const pid of Object.keys(await askMany(port, 20))) seen.add(pid);
        return added.every((pid) => seen.has(pid));
      });
      loaded = false;
      await Promise.all(clients);
      report('all serve');
      cluster.disconnect();
    },
    worker: serve,
  });
  expect(primary).toEqual(['all serve']);
});

describe('maxConnections', () => {
  const holding = () => {
    const server = require('./serving').serve((socket) => socket.write(`${process.pid}`));
    server.maxConnections = 2;
  };

  test('a connection goes on to a worker that has room, and waits when there is none', async () => {
    const { primary } = await runScenario({
      async primary({ cluster, once, report, until }) {
        const net = require('node:net');
        const { forkListening } = require('./serving');
        const { port } = await forkListening(cluster, 2);
        const open = [];
        const clients = Array.from({ length: 10 }, () => {
          const client = net.connect(port, '127.0.0.1');
          client.on('data', () => open.push(client));
          return client;
        });
        await until(() => open.length === 4);
        const before = process.cpuUsage();
        await new Promise((resolve) => { setTimeout(resolve, 500); });
        const { system, user } = process.cpuUsage(before);
        report({ open: open.length, share: (system + user) / 500_000 });
        // Each one that ends makes room for the next.
        for (let closed = 0; closed < 10; closed++) {
          await until(() => open.length > closed);
          open[closed].destroy();
        }
        await Promise.all(clients.map((client) => client.destroyed || once(client, 'close')));
        report(open.length);
        cluster.disconnect();
      },
      worker: holding,
    });
    const [parked, served] = primary;
    expect(parked.open).toBe(4);
    expect(parked.share).toBeLessThan(0.1);
    expect(served).toBe(10);
  });

  test('those who wait are served when the limit is raised, or when another worker comes', async () => {
    const { primary } = await runScenario({
      async primary({ cluster, report, until }) {
        const net = require('node:net');
        const { forkListening } = require('./serving');
        const { workers: [one], port } = await forkListening(cluster, 1);
        let served = 0;
        const connect = () => net.connect(port, '127.0.0.1').on('data', () => served++);
        for (let i = 0; i < 3; i++) connect();
        await until(() => served === 2);
        one.send({ maxConnections: 4 });
        await until(() => served === 3);
        for (let i = 0; i < 3; i++) connect();
        await until(() => served === 4);
        cluster.fork();
        await until(() => served === 6);
        report(served);
        process.exit();
      },
      worker: holding,
    });
    expect(primary).toEqual([6]);
  });
});
