'use strict';

// The AsyncLocalStorage store in each event of a worker and in the callbacks of its sends, forked and sent to in contexts of their own.

const { AsyncLocalStorage } = require('node:async_hooks');
const cluster = require('node:cluster');

const store = new AsyncLocalStorage();
const seen = new Set();
const see = (what) => () => seen.add(`${what}: ${store.getStore()}`);

if (cluster.isPrimary) {
  for (const name of ['online', 'message', 'disconnect', 'exit']) cluster.on(name, see(`cluster ${name}`));
  for (const name of ['first', 'second']) {
    store.run(name, () => {
      const worker = cluster.fork({ NAME: name });
      for (const event of ['online', 'message', 'disconnect', 'exit']) {
        worker.on(event, see(`${name} ${event}`));
        worker.process.on(event, see(`${name} process ${event}`));
      }
    });
  }
  const workers = Object.values(cluster.workers);
  for (const [index, worker] of workers.entries()) {
    store.run(`send ${index}`, () => worker.send(1, see(`sent ${index}`)));
    worker.on('message', (message) => {
      if (message !== 'last') return;
      // Something entered within a run, in the listener of a message.
      store.run('inner', () => store.enterWith('entered'));
      store.enterWith('outer');
      worker.send('end', see(`last sent ${index}`));
    });
  }
  let left = 2;
  cluster.on('exit', () => --left === 0 && setImmediate(() => console.log([...seen].sort())));
} else {
  process.on('message', (message) => {
    if (message === 'end') process.disconnect();
    else for (const one of [1, 2, 'last']) process.send(one);
  });
}
