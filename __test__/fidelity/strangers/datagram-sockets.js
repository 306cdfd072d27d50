'use strict';

// A tool that counts datagram sockets as they come, and a test's stub in the place of `dgram.createSocket`.

const cluster = require('node:cluster');
const dgram = require('node:dgram');
const diagnostics = require('node:diagnostics_channel');

let made = 0;
diagnostics.subscribe('udp.socket', () => made++);
const { createSocket } = dgram;
dgram.createSocket = () => ({ on() {}, close() {} });

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', (message) => {
    console.log(message, made);
    if (message !== 'bound') return worker.disconnect();
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => worker.send('a socket', socket, () => socket.close()));
  });
} else {
  const own = createSocket('udp4');
  own.bind(0, '127.0.0.1', () => process.send('bound'));
  process.on('message', (_message, sent) => {
    sent.on('message', (text) => {
      process.send([`${text}`, made]);
      sent.close();
      own.close();
    });
    own.send('hello', sent.address().port, '127.0.0.1');
  });
}
