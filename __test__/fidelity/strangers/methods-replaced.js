'use strict';

// Methods of built-in classes replaced by those of old libraries, which do something else.

Array.prototype.entries = function () { return this.slice(); };
Array.prototype.first = function () { return this[0]; };
Array.prototype.clone = Array.prototype.slice;
String.prototype.startsWith = function (text) { return this.indexOf(text) === 0; };
Function.prototype.bind = (({ bind }) => function (...args) { return bind.apply(this, args); })(Function.prototype);
globalThis.Promise = class extends Promise {};
const cluster = require('node:cluster');
const net = require('node:net');

if (cluster.isPrimary) {
  const worker = cluster.fork();
  const texts = [];
  worker.on('message', (message) => {
    texts.push(Object.entries(message).map(([name, value]) => `${name} ${value.length ?? value}`).join());
    if (!message.end) return;
    console.log(texts);
    worker.disconnect();
  });
  worker.on('listening', ({ port }) => {
    worker.send({ a: 'x'.repeat(17_000), b: 1 });
    worker.send({ a: 'x'.repeat(17_000), b: 'y'.repeat(18_000) });
    net.connect(port, '127.0.0.1').resume().on('close', () => worker.send({ end: 1 }));
  });
} else {
  net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  process.on('message', (message) => process.send(message));
}
