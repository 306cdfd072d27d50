'use strict';

// Plays sequences of listens and closes in workers, with the built-in module and with rcluster, and keeps what both
// sides see: the events of each server, and the `listening` events of the primary.
//
//   const { log } = await play(policy, [
//     ['a', [['first', 'listen', { port: 'P' }]], 2],       // worker a: first.listen({ port }), two entries follow
//     ['a', [['second', 'listen', { port: 'P' }]], 3],      // and then three
//     ['ask'],                                              // who answers on that port
//   ], { side: 'builtin' });
//
// `P` stands for a port that was free when the sequence began. The number is that of the entries that are awaited in all;
// after the last step come those that nobody waited for.

const { runScenario } = require('../helpers/scenario');

const player = {
  async primary({ args, cluster, report, until }) {
    const net = require('node:net');
    const log = [];
    cluster.schedulingPolicy = cluster[args.policy];
    // Outside of the range from which the kernel takes ports for others.
    const freePort = async () => {
      for (;;) {
        const port = 10_000 + Math.floor(Math.random() * 20_000);
        const server = net.createServer().listen(port);
        const free = await new Promise((resolve) => {
          server.on('listening', () => resolve(true)).on('error', () => resolve(false));
        });
        if (free) {
          await new Promise((resolve) => { server.close(resolve); });
          return port;
        }
      }
    };
    const port = await freePort();
    const ports = [port];
    // Ports by their order, as they differ from run to run: P is ours.
    const entry = (name, value) => {
      const named = JSON.stringify(value, (key, member) => {
        if (key !== 'port' || !(member > 0)) return member;
        if (!ports.includes(member)) ports.push(member);
        return member === port ? 'P' : `port ${ports.indexOf(member)}`;
      });
      log.push(`${name} ${named}`.replaceAll(`:${port}`, ':P'));
    };
    const workers = {};
    const nameOf = (worker) => Object.keys(workers).find((name) => workers[name] === worker);
    cluster.on('listening', (worker, address) => entry('primary', ['listening', nameOf(worker), address]));
    const ask = () => new Promise((resolve) => {
      let answer = '';
      const socket = net.connect(port, '127.0.0.1');
      socket.setEncoding('utf8').on('data', (text) => (answer += text));
      socket.on('end', () => resolve(answer)).on('error', ({ code }) => resolve(code));
    });
    const pong = async (name) => {
      let answered = false;
      const onMessage = (message) => (answered ||= message === 'pong');
      workers[name].on('message', onMessage);
      workers[name].send('ping');
      await until(() => answered || workers[name].isDead());
      workers[name].off('message', onMessage);
    };
    const pongs = async () => {
      for (const name of Object.keys(workers)) if (workers[name].isConnected()) await pong(name);
    };

    for (const [name, operations, awaited] of args.steps) {
      if (name === 'ask') {
        const answers = new Set();
        // A worker that has not had a processor for some milliseconds is passed over: each shows first that it runs.
        for (let round = 0; round < 3; round++) {
          await pongs();
          for (let i = 0; i < 8; i++) answers.add(await ask());
        }
        // Without round-robin the kernel decides who answers.
        log.push(`answers: ${args.policy === 'SCHED_RR' ? [...answers].sort() : !answers.has('ECONNREFUSED')}`);
        // A server is closed when its last connection is: what comes next shall not race with that.
        await pongs();
        continue;
      }
      if (operations === 'disconnect' || operations === 'kill') {
        const worker = workers[name];
        if (operations === 'kill') worker.process.kill('SIGKILL');
        else worker.disconnect();
        await until(() => worker.isDead() && !worker.isConnected());
        continue;
      }
      if (!workers[name]) {
        const worker = (workers[name] = cluster.fork());
        worker.on('message', (message) => message !== 'pong' && entry(name, message));
        await new Promise((resolve) => { worker.once('online', resolve); });
      }
      const text = JSON.stringify(operations).replaceAll('"P"', String(port));
      workers[name].send({ name, operations: JSON.parse(text) });
      const deadline = Date.now() + args.patience;
      await until(() => log.length >= awaited || Date.now() > deadline);
    }
    await pongs();
    report({ log, ports: ports.length });
    process.exit();
  },
  worker({ describe }) {
    const net = require('node:net');
    const dgram = require('node:dgram');
    const servers = {};
    let connections = 0;
    let asked = 0;
    /** Answers what was asked as soon as no connection is open. */
    const pong = () => {
      for (; asked > 0 && connections === 0; asked--) process.send('pong');
    };
    const create = (name, kind, worker) => {
      const say = (...event) => process.send([name, ...event]);
      const server = kind === 'udp' ? dgram.createSocket('udp4') : net.createServer((socket) => {
        connections++;
        socket.on('close', () => {
          connections--;
          pong();
        });
        socket.end(worker);
      });
      server.on('listening', () => say('listening', server.address()));
      server.on('error', (error) => {
        const { address, errno, port, syscall } = error;
        say('error', { ...describe(error), address, errno, port, syscall });
      });
      server.on('close', () => say('close'));
      return server;
    };
    process.on('message', (message) => {
      if (message === 'ping') {
        asked++;
        return pong();
      }
      for (const [name, operation, options] of message.operations) {
        const kind = operation === 'bind' ? 'udp' : 'tcp';
        const server = (servers[name] ??= create(name, kind, `${message.name}.${name}`));
        try {
          if (operation === 'close') server.close((error) => error && process.send([name, 'not closed', describe(error)]));
          else server[operation](options);
        } catch (error) {
          process.send([name, 'thrown', describe(error)]);
        }
      }
      return undefined;
    });
  },
};

/**
 * @param {'SCHED_RR' | 'SCHED_NONE'} policy
 * @param {any[]} steps
 * @param {{ side: 'builtin' | 'rcluster', patience?: number }} options `patience`: ms to wait for awaited entries
 * @returns {Promise<{ log: string[], ports: number, died: string | null }>} `died`: why the primary or a worker did
 */
async function play(policy, steps, { side, patience = 10_000 }) {
  const { primary, stderr } = await runScenario(player, { side, args: { policy, steps, patience }, timeout: 25_000 });
  const died = stderr.find((line) => /^\s*(\w*Error)\b/.test(line)) ?? null;
  return { log: primary[0]?.log ?? [], ports: primary[0]?.ports ?? 0, died };
}

module.exports = { play };
