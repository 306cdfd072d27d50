'use strict';

// What was sent before the process ends in odd places arrives, and the code is kept.

const cluster = require('node:cluster');

const say = (n = 3) => {
  for (let i = 0; i < n; i++) process.send(i);
};
const WAYS = {
  now: () => (say(), process.exit(3)),
  nextTick: () => process.nextTick(() => (say(), process.exit(5))),
  microtask: () => queueMicrotask(() => (say(), process.exit(6))),
  immediate: () => setImmediate(() => (say(), process.exit(7))),
  callback: () => process.send('first', () => (say(), process.exit(8))),
  exitListener: () => (process.on('exit', () => say()), process.exit(9)),
  exitCode: () => (say(), (process.exitCode = 10), process.disconnect()),
  beforeExit: () => process.channel.unref() ?? process.once('beforeExit', () => (say(), (process.exitCode = 11))),
  thrown: () => (process.once('uncaughtException', () => (say(), process.exit(12))), setTimeout(() => { throw new Error('x'); })),
  rejected: () => (process.once('unhandledRejection', () => (say(), process.exit(13))), void Promise.reject(new Error('x'))),
  killed: () => (say(), process.kill(process.pid, 'SIGKILL')),
  signalled: () => (process.once('SIGTERM', () => (say(), process.exit(14))), setInterval(() => {}, 1000), process.kill(process.pid, 'SIGTERM')),
  disconnectListener: () => (process.once('disconnect', () => process.exit(15)), say(), cluster.worker.disconnect()),
  destroyed: () => (say(), cluster.worker.destroy()),
  inListener: () => (process.once('message', () => (say(), process.exit(16))), process.send('ask')),
  throwsInListener: () => (process.on('uncaughtException', () => process.exit(17)), process.once('message', () => { say(); throw new Error('x'); }), process.send('ask')),
  reallyExit: () => (say(), process.reallyExit(19)),
};

if (cluster.isPrimary) {
  cluster.setupPrimary({ silent: true });
  const results = {};
  const names = Object.keys(WAYS);
  const next = () => {
    const name = names.shift();
    if (!name) return;
    const worker = cluster.fork({ HOW: name });
    let got = 0;
    worker.on('message', (message) => {
      got++;
      if (message === 'ask') worker.send('go');
    });
    let left = 2;
    const onEnd = () => {
      if (--left > 0) return;
      results[name] = `${got} ${worker.process.exitCode} ${worker.process.signalCode} ${worker.exitedAfterDisconnect}`;
      if (Object.keys(results).length === Object.keys(WAYS).length) console.log(Object.entries(results).sort().join('\n'));
      next();
    };
    worker.on('exit', onEnd);
    worker.on('disconnect', onEnd);
  };
  next();
  next();
  next();
} else {
  WAYS[process.env.HOW]();
}
