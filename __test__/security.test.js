'use strict';

// A worker that lies: whatever it writes into its channel, its queue or its board, the primary and the other worker go
// on serving.

const { runScenario } = require('./helpers/scenario');

const scenario = {
  async primary({ args, cluster, once, report, until }) {
    const net = require('node:net');
    const ask = (port) =>
      new Promise((resolve) => {
        let answer = '';
        const socket = net.connect(port, '127.0.0.1');
        socket.on('data', (data) => {
          answer += data;
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(answer));
      });
    const honest = cluster.fork();
    const [{ port }] = await once(honest, 'listening');
    const liar = cluster.fork();
    await once(liar, 'listening');
    const seen = [];
    const warnings = [];
    liar.on('error', (error) => seen.push(error.code));
    process.on('warning', (warning) => warnings.push(warning.message));
    let lied = false;
    liar.on('message', () => {
      lied = true;
    });
    liar.on('disconnect', () => {
      lied = true;
    });
    liar.send(args);
    await until(() => lied);
    if (args === 'channel' || args === 'frame') await until(() => seen.length > 0);
    let served = 0;
    for (let count = 0; count < 40; count++) {
      const pid = await ask(port);
      if (pid === `${honest.process.pid}`) served++;
      else if (pid !== `${liar.process.pid}`) seen.push(`lost: ${pid}`);
    }
    // The channel of the honest one works, too.
    honest.send('echo');
    const [echo] = await once(honest, 'message');
    // And one that comes later.
    const late = cluster.fork();
    await once(late, 'listening');
    report({ served: served > 10, seen, echo, warnings: warnings.length });
    for (const worker of [honest, liar, late]) worker.process.kill('SIGKILL');
  },
  worker() {
    const fs = require('node:fs');
    const net = require('node:net');
    net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end(`${process.pid}`);
    }).listen(0, '127.0.0.1');
    const channel = process.channel.fd;
    const sockets = () =>
      fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => {
        try {
          return fd > 2 && fd !== channel && fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
        } catch {
          return false;
        }
      });
    const lies = {
      channel: () => fs.writeSync(channel, 'garbage that is no frame at all'),
      // A frame of a known kind that is no JSON.
      frame: () => fs.writeSync(channel, Buffer.from([3, 0, 0, 0, 3, 0, 0, 0, 0x7b, 0x7b, 0x7b])),
      queue() {
        for (const fd of sockets()) {
          for (const bytes of [[1], [1, 0, 0, 0, 9, 9, 9, 9], Array.from({ length: 500 }, () => 255), [3, 0, 0, 0, 255, 255, 255, 255]]) {
            try {
              fs.writeSync(fd, Buffer.from(bytes));
            } catch {
              // A socket that cannot be written to now.
            }
          }
        }
        process.send('done');
      },
      board() {
        const line = fs.readFileSync('/proc/self/maps', 'latin1').split('\n').find((text) => text.includes('rcluster-board'));
        const start = parseInt(line, 16);
        const memory = fs.openSync('/proc/self/mem', 'r+');
        for (let round = 0; round < 3; round++) fs.writeSync(memory, Buffer.alloc(4096, [0xff, 0x00, 0x7f][round]), 0, 4096, start);
        process.send('done');
      },
    };
    process.on('message', (message) => (message === 'echo' ? process.send('echo') : lies[message]()));
  },
};

for (const what of ['channel', 'frame']) {
  test(`garbage in the ${what === 'frame' ? 'payload of a frame' : 'channel'} ends that worker's channel with an error`, async () => {
    const { primary: [result] } = await runScenario(scenario, { args: what, timeout: 25_000 });
    expect(result).toMatchObject({ served: true, echo: 'echo', seen: ['ERR_RCLUSTER_MALFORMED_MESSAGE'] });
  });
}

for (const what of ['queue', 'board']) {
  test(`garbage in the ${what} harms nobody else`, async () => {
    const { primary: [result] } = await runScenario(scenario, { args: what, timeout: 25_000 });
    expect(result).toMatchObject({ served: true, echo: 'echo', seen: [] });
  });
}

const grandchildren = {
  async primary({ cluster, once, report }) {
    const worker = cluster.fork();
    const [message] = await once(worker, 'message');
    report(message);
    worker.process.kill('SIGKILL');
  },
  worker() {
    const { execFile } = require('node:child_process');
    const { Worker } = require('node:worker_threads');
    const program = `
      const fs = require('node:fs');
      const fds = fs.readdirSync('/proc/self/fd').filter((fd) => fd > 2).map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
      const about = {
        sockets: fds.filter((name) => /^socket:|rcluster/.test(name)).length,
        env: Object.keys(process.env).filter((name) => /^RCLUSTER_WORKER|UNIQUE_ID|CHANNEL/.test(name)).length,
        options: /load\\.js/.test((process.env.NODE_OPTIONS ?? '') + process.execArgv.join(' ')),
        worker: require('node:cluster').isWorker,
      };`;
    execFile(process.execPath, ['-e', `${program} console.log(JSON.stringify(about))`], (error, output) => {
      const thread = new Worker(`${program} require('node:worker_threads').parentPort.postMessage(about)`, { eval: true });
      thread.once('message', ({ env, options, worker }) => {
        process.send({ child: error ? `${error}` : JSON.parse(output), thread: { env, options, worker } });
      });
    });
  },
};

test('a grandchild gets neither our descriptors nor our variables', async () => {
  const { primary: [result] } = await runScenario(grandchildren, { timeout: 25_000 });
  expect(result).toEqual({
    child: { sockets: 0, env: 0, options: false, worker: false },
    thread: { env: 0, options: false, worker: false },
  });
});
