'use strict';

// Listeners that are added, removed and awaited in all the ways there are, while messages come together. When what is awaited goes on
// depends on how many of them are read at a time: it is told apart from their order.

const cluster = require('node:cluster');
const { on, once } = require('node:events');

if (cluster.isPrimary) {
  const seen = [];
  const worker = cluster.fork();
  cluster.prependListener('message', (...args) => seen.push(`cluster ${args[0] === worker} ${args[1]} ${args.length}`));
  worker.prependListener('message', (...args) => seen.push(`worker ${args[0]} ${args.length}`));
  worker.process.prependListener('message', (...args) => seen.push(`process ${args[0]} ${args.length}`));
  worker.on('message', (message) => message === 'ready' && [1, 2, 3, 4, 5, 6].forEach((n) => worker.send(n)));
  worker.on('exit', (code) => console.log(code, seen));
} else {
  const seen = [];
  const awaited = [];
  process.prependOnceListener('message', (n) => seen.push(`prepended once ${n}`));
  process.once('message', (n) => seen.push(`once ${n}`));
  const removed = (n) => seen.push(`removed ${n}`);
  process.on('message', (n) => {
    seen.push(`on ${n}`);
    if (n === 1) process.off('message', removed).on('message', (later) => seen.push(`added ${later}`));
    if (n === 2) process.removeAllListeners('newListener').prependListener('message', (later) => seen.push(`before ${later}`));
    if (n === 4) cluster.worker.once('message', (later) => seen.push(`of the worker ${later}`));
  });
  process.on('message', removed);
  void (async () => {
    const [first] = await once(cluster.worker, 'message');
    awaited.push(`awaited ${first}`);
    for await (const [n] of on(process, 'message')) {
      if (n !== 'end') continue;
      awaited.push(`iterated ${n}`);
      process.send([...seen, ...awaited].join('; '), () => process.exit());
    }
  })();
  process.on('message', (n) => n === 6 && setTimeout(() => process.emit('message', 'end'), 50));
  process.send('ready');
}
