'use strict';

// Getters and toJSON are asked once, traps of a Proxy as JSON.stringify asks them, also where they send in their turn.

const cluster = require('node:cluster');

const LONG = 'x'.repeat(20_000);

if (cluster.isPrimary) {
  const results = [];
  for (const serialization of ['json', 'advanced']) {
    cluster.setupPrimary({ serialization });
    const worker = cluster.fork();
    const seen = [serialization];
    worker.on('message', (message) => {
      seen.push(message);
      if (message !== 'end') return;
      results.push(JSON.stringify(seen).replace(/x{100,}/g, (text) => text.length));
      if (results.length === 2) console.log(results.sort().join('\n'));
      worker.disconnect();
    });
  }
} else {
  let asked = 0;
  const counting = (more) => Object.defineProperty({ ...more }, 'count', { enumerable: true, get: () => ++asked });
  process.send({ before: LONG.length });
  for (const more of [{}, { text: LONG }, { deep: counting() }]) process.send(counting(more));
  process.send({ get first() { process.send('of a getter'); return 1; }, last: 2 });
  const traps = [];
  const handler = Object.fromEntries(['get', 'has', 'getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor'].map((name) => [name, (...args) => {
    traps.push(`${name} ${typeof args[1] === 'string' ? args[1] : ''}`);
    return Reflect[name](...args);
  }]));
  try {
    process.send(new Proxy({ text: 'short', long: 'y' }, handler));
  } catch ({ name }) {
    traps.push(name);
  }
  process.send(traps.filter((trap) => !trap.startsWith('get constructor')));
  process.send('end');
}
