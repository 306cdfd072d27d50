'use strict';

// What a listener enters by `enterWith` is not there in the next one, nor in other events of the worker.

const { AsyncLocalStorage } = require('node:async_hooks');
const cluster = require('node:cluster');
const { once } = require('node:events');
const net = require('node:net');

const store = new AsyncLocalStorage();
const seen = [];
const enter = (what) => {
  seen.push(`${what} ${store.getStore()}`);
  store.enterWith(what);
};
const busy = () => {
  for (const end = Date.now() + 100; Date.now() < end; );
};

if (cluster.isPrimary) {
  const worker = cluster.fork();
  for (const name of ['online', 'disconnect', 'exit']) worker.on(name, () => enter(name));
  worker.on('listening', ({ port }) => {
    enter('listening');
    for (let n = 0; n < 3; n++) worker.send(n);
    const closed = Array.from({ length: 3 }, () => once(net.connect(port, '127.0.0.1').resume(), 'close'));
    void Promise.all(closed).then(() => worker.send('end'));
  });
  worker.on('message', (message) => {
    if (Array.isArray(message)) seen.push(...message);
    else enter(message);
  });
  worker.on('exit', () => console.log(seen.sort()));
} else {
  for (let n = 0; n < 3; n++) process.send(`early ${n}`);
  process.on('message', (message) => {
    enter(`message ${message}`);
    if (message === 'end') process.send(seen, () => process.disconnect());
    if (message === 0) busy();
  });
  let connections = 0;
  const server = net.createServer((socket) => {
    enter(`connection ${connections++}`);
    busy();
    socket.end();
    if (connections === 3) server.close();
  });
  server.listen(0, '127.0.0.1');
}
