'use strict';

// Connections that have come and not been read yet when their worker leaves. Since Node 26 an HTTP server that is closed ends them.

const { runScenario } = require('../helpers/scenario');

const leaving = {
  async primary({ args: byWorker, cluster, once, report }) {
    const net = require('node:net');
    const worker = cluster.fork();
    const [{ port }] = await once(worker, 'listening');
    const client = net.connect(port, '127.0.0.1');
    let got = '';
    client.on('data', (data) => (got += data)).on('error', ({ code }) => (got += code));
    await once(worker, 'message');
    // It asks when its worker has been told to leave.
    if (byWorker) worker.send('leave');
    else worker.disconnect();
    if (byWorker) await once(worker, 'message');
    client.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n');
    await once(client, 'close');
    report(got.split('\r\n')[0]);
    if (!worker.isDead()) await once(worker, 'exit');
    // One that never asks for anything keeps nobody.
    const other = cluster.fork();
    const [{ port: next }] = await once(other, 'listening');
    const silent = net.connect(next, '127.0.0.1').on('error', () => {});
    await once(other, 'message');
    other.disconnect();
    const timer = setTimeout(() => silent.destroy(), 3000);
    await once(other, 'exit');
    clearTimeout(timer);
    silent.destroy();
    report('left');
  },
  worker({ cluster }) {
    const server = require('node:http').createServer((_request, response) => response.end('served'));
    server.on('connection', () => process.send('connection')).listen(0, '127.0.0.1');
    process.on('message', () => {
      cluster.worker.disconnect();
      process.send('leaving');
    });
  },
};

test.each([['its primary', false], ['itself', true]])('a worker that leaves by the will of %s answers them', async (_who, byWorker) => {
  const { primary, exit } = await runScenario(leaving, { args: byWorker });
  expect(primary).toEqual(['HTTP/1.1 200 OK', 'left']);
  expect(exit.code).toBe(0);
});
