'use strict';

// The classic way to survive an exception, without a supervisor: the worker that has thrown stops accepting and tells the
// primary, which forks another; then it answers what it has, and exits. (`crash: 'drain'` in supervise.js does this for you,
// and moves idle connections instead of closing them.)
//
//   node examples/graceful-exit.js
//   curl http://127.0.0.1:3000           each reply is the pid of the worker that served it
//   curl http://127.0.0.1:3000/crash     that worker throws
//
// PORT=8080 chooses another port, PORT=0 a free one. Ctrl-C or SIGTERM to the primary ends it.

const http = require('node:http');
const { availableParallelism } = require('node:os');
const cluster = require('..'); // in your app: require('rcluster')

const HOST = '127.0.0.1';
const PORT = Number(process.env.PORT || '3000');
const EXIT_TIMEOUT = 5000; // ms that a worker which has thrown has to finish

if (cluster.isPrimary) startPrimary();
else serve();

function startPrimary() {
  const count = Math.max(2, availableParallelism());
  const replaced = new Set(); // workers whose place another has taken already
  let listening = 0;
  let stopping = false;

  const forkWorker = () => {
    const worker = cluster.fork();
    worker.on('message', (message) => {
      if (message !== 'leaving' || stopping) return;
      replaced.add(worker);
      console.log(`Worker ${worker.process.pid} leaves, worker ${forkWorker().process.pid} takes its place.`);
    });
    return worker;
  };

  cluster.on('listening', (worker, { address, port }) => {
    if (++listening !== count) return;
    const url = `http://${address}:${port}`;
    console.log(`Listening on ${url}`);
    console.log(`Workers ${Object.values(cluster.workers).map((each) => each.process.pid).join(', ')}`);
    console.log(`Try:  curl ${url}   curl ${url}/crash`);
  });

  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    console.log(`Worker ${worker.process.pid} ended (${signal ?? `code ${code}`}).`);
    // One that could not say that it leaves. Where none has ever listened the next would not fare better.
    if (!replaced.delete(worker) && listening > 0) forkWorker();
    else if (listening === 0) process.exitCode = 1;
  });

  const stop = () => {
    stopping = true;
    cluster.disconnect();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  cluster.setupPrimary({ exec: __filename, args: [] });
  for (let i = 0; i < count; i++) forkWorker();
}

function serve() {
  // A terminal sends Ctrl-C to the workers too, and a service manager SIGTERM: it is the primary that acts on them.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  const server = http.createServer((request, response) => {
    if (request.url === '/crash') setImmediate(() => { throw new Error('as you wished'); });
    // Closed: this reply is the last one on its connection.
    if (!server.listening) response.setHeader('Connection', 'close');
    if (request.url === '/slow') setTimeout(() => response.end(`${process.pid}\n`), 1000);
    else response.end(`${process.pid}\n`);
  });
  server.listen(PORT, HOST);

  process.on('uncaughtException', (error) => {
    console.error(error.stack);
    process.exitCode = 1;
    // Too late for a second one, and for one that happens before this worker has served anything.
    if (!server.listening) process.exit();
    // Whatever is left then: the state of this process is not to be trusted for long.
    setTimeout(() => process.exit(), EXIT_TIMEOUT).unref();
    // Stop accepting, tell the primary, let it fork, and exit when the last connection has ended.
    process.send('leaving');
    cluster.worker.disconnect();
  });
}
