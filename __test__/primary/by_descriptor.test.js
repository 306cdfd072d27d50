'use strict';

// A worker may listen on what the primary's program has opened, or got at its start, and on nothing else of the primary's.

const { runScenario } = require('../helpers/scenario');

const LONG = 60_000;

/** The numbers with which `listen({ fd })` and `bind({ fd })` succeed, of all that the primary has; by the names of what it has opened. */
const prying = {
  async primary({ args: policy, cluster, once, report }) {
    const dgram = require('node:dgram');
    const net = require('node:net');
    const os = require('node:os');
    const path = require('node:path');
    cluster.schedulingPolicy = cluster[policy];
    const { forkListening } = require('./serving');
    process.env.ROLE = 'sibling';
    const { workers, port } = await forkListening(cluster, 2);
    const named = {};
    const server = net.createServer().listen(0, '127.0.0.1');
    const file = net.createServer().listen(path.join(os.tmpdir(), `rcluster-by-descriptor-${process.pid}`));
    const udp = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await Promise.all([server, file, udp].map((one) => once(one, 'listening')));
    const client = net.connect(server.address().port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    const connected = dgram.createSocket('udp4');
    connected.connect(udp.address().port, '127.0.0.1');
    await once(connected, 'connect');
    named[server._handle.fd] = 'server';
    named[file._handle.fd] = 'unix server';
    const symbol = Object.getOwnPropertySymbols(udp).find(({ description }) => description === 'state symbol');
    named[udp[symbol].handle.fd] = 'udp';
    process.env.ROLE = 'prying';
    const worker = cluster.fork();
    const [got] = await once(worker, 'message');
    const names = (numbers) => numbers.map((fd) => named[fd] ?? fd).sort();
    report({ listen: names(got.listen), bind: names(got.bind), tried: got.tried });
    const { askMany } = require('./serving');
    report(Object.values(await askMany(port, 10)).reduce((sum, one) => sum + one, 0));
    for (const one of [client, accepted]) one.destroy();
    for (const one of [server, file, udp, connected]) one.close();
    for (const one of [worker, ...workers]) one.process.kill('SIGKILL');
  },
  async worker() {
    if (process.env.ROLE === 'sibling') return require('./serving').serve();
    const { once } = require('node:events');
    const dgram = require('node:dgram');
    const net = require('node:net');
    const numbers = Array.from({ length: 80 }, (_, index) => index + 1);
    const succeeds = (one) => new Promise((resolve) => {
      one.once('listening', () => resolve(true)).once('error', () => resolve(false));
    });
    const good = async (open) => {
      const results = [];
      for (const fd of numbers) {
        const one = open(fd);
        if (!(await succeeds(one))) continue;
        results.push(fd);
        one.close();
        await once(one, 'close');
      }
      return results;
    };
    const listen = await good((fd) => net.createServer().listen({ fd }));
    const bind = await good((fd) => dgram.createSocket('udp4').bind({ fd }));
    process.send({ listen, bind, tried: numbers.length });
  },
};

test.each(['SCHED_RR', 'SCHED_NONE', 'SCHED_REUSEPORT'])('%s', async (policy) => {
  const { primary, exit, stderr } = await runScenario(prying, { args: policy, timeout: LONG });
  expect(stderr).toEqual([]);
  expect(primary).toEqual([{ listen: ['server', 'unix server'], bind: ['udp'], tried: 80 }, 10]);
  expect(exit.signal).toBe(null);
}, LONG);
