'use strict';

// The events of a worker that is ended in many ways at once, and what its members say in each.

const cluster = require('node:cluster');

const WAYS = {
  disconnectThenKill: (worker) => (worker.disconnect(), worker.process.kill('SIGKILL')),
  killThenDisconnect: (worker) => (worker.process.kill('SIGKILL'), worker.disconnect()),
  channelThenKill: (worker) => (worker.process.disconnect(), worker.kill()),
  killTwice: (worker) => (worker.kill('SIGKILL'), worker.kill()),
  inOnline: (worker) => worker.disconnect(),
  exits: (worker) => worker.send('exit'),
  throws: (worker) => worker.send('throw'),
  cuts: (worker) => worker.send('cut'),
  leaves: (worker) => worker.send('leave'),
  destroys: (worker) => worker.send('destroy'),
  aborts: (worker) => worker.send('abort'),
};

if (cluster.isPrimary) {
  cluster.setupPrimary({ silent: true });
  const results = {};
  for (const [name, end] of Object.entries(WAYS)) {
    const worker = cluster.fork();
    const seen = [];
    const see = (event) => (...args) => {
      const is = event === 'exit' ? worker.isDead() : worker.isConnected();
      seen.push(`${event}(${args.join()}) ${is} ${worker.state} ${worker.exitedAfterDisconnect}`);
    };
    for (const event of ['disconnect', 'exit']) {
      worker.on(event, see(event));
      worker.process.on(event, () => seen.push(`process ${event}`));
    }
    worker.once(name === 'inOnline' ? 'online' : 'message', () => end(worker));
    let left = 2;
    const settled = () => {
      if (--left > 0) return;
      results[name] = `${seen.sort().join('; ')}; ${worker.id in cluster.workers}`;
      if (Object.keys(results).length === Object.keys(WAYS).length) console.log(Object.entries(results).sort().join('\n'));
    };
    worker.on('exit', () => setImmediate(settled));
    worker.on('disconnect', () => setImmediate(settled));
  }
} else {
  process.on('message', (how) => {
    if (how === 'exit') process.exit(3);
    if (how === 'throw') throw new Error('thrown');
    if (how === 'cut') process.disconnect();
    if (how === 'leave') cluster.worker.disconnect();
    if (how === 'destroy') cluster.worker.destroy();
    if (how === 'abort') process.kill(process.pid, 'SIGABRT');
  });
  process.send('ready');
}
