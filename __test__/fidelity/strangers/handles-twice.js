'use strict';

// One server sent twice and to two workers, one socket kept open by both sides, handles that are gone.

const cluster = require('node:cluster');
const { once } = require('node:events');
const net = require('node:net');

if (cluster.isPrimary) {
  const seen = [];
  const workers = [cluster.fork(), cluster.fork()];
  const server = net.createServer({ pauseOnConnect: true });
  server.on('connection', (socket) => {
    workers[0].send({ socket: 1 }, socket, { keepOpen: true }, (error) => {
      seen.push(`sent ${error}`);
      socket.write('primary ');
    });
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    for (const worker of workers) for (let n = 0; n < 2; n++) worker.send({ server: n }, server);
    const gone = new net.Socket();
    workers[0].send({ gone: 1 }, gone, (error) => seen.push(`gone ${error?.code ?? error}`));
    for (const wrong of [{}, 5, 'text', [], new Date()]) {
      try {
        workers[1].send({ wrong: 1 }, wrong);
        seen.push('accepted');
      } catch ({ code }) {
        seen.push(code);
      }
    }
    const ready = workers.map((worker) => once(worker, 'message'));
    void Promise.all(ready).then(() => {
      server.close();
      setTimeout(() => {
        // By now the primary accepts no more, and the workers do.
        const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
        let text = '';
        socket.on('data', (data) => (text += data));
        socket.on('close', () => {
          console.log(text, seen);
          for (const worker of workers) worker.disconnect();
        });
      }, 50);
    });
  });
} else {
  let got = 0;
  const servers = [];
  process.on('message', (message, handle) => {
    if (message.server === undefined) return;
    servers.push(handle);
    handle.on('connection', (socket) => socket.end('worker'));
    if (++got === 2) process.send('ready');
  });
  process.on('disconnect', () => servers.forEach((server) => server.close()));
}
