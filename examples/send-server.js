'use strict';

// Passing a server: the primary opens the listening socket, sends it to its workers and closes its own copy. The
// workers compete for connections, and the kernel decides who wins: there is no rotation.
//
//   node examples/send-server.js
//   curl http://127.0.0.1:3000     each reply is the pid of the process that served it
//
// PORT=8080 chooses another port, PORT=0 a free one. Ctrl-C or SIGTERM to the primary ends it.

const http = require('node:http');
const net = require('node:net');
const { availableParallelism } = require('node:os');
const cluster = require('..'); // in your app: require('rcluster')

const HOST = '127.0.0.1';
const PORT = process.env.PORT || '3000';
const STOP_TIMEOUT = 5000; // ms that connections have to end

if (cluster.isPrimary) startPrimary();
else startWorker();

/** Answers HTTP on the connections that a server accepts. */
function serve(server) {
  const web = http.createServer((request, response) => {
    response.setHeader('Connection', 'close');
    response.end(`${process.pid}\n`);
  });
  server.on('connection', (socket) => web.emit('connection', socket));
}

function startPrimary() {
  const server = net.createServer();
  server.on('error', (error) => {
    console.error(`Cannot serve: ${error.message}`);
    process.exitCode = 1;
  });
  // As long as the primary's copy is open, the primary competes as well.
  serve(server);

  server.listen(Number(PORT), HOST, () => {
    const url = `http://${HOST}:${server.address().port}`;
    const count = Math.max(2, availableParallelism());
    let workers = []; // all whose process runs; cluster.workers leaves out those that are disconnecting
    let serving = 0;

    cluster.on('message', (worker, message) => {
      if (message !== 'serving') return;
      serving += 1;
      if (serving < count) return;
      server.close();
      console.log(`Listening on ${url}`);
      console.log(`Workers ${workers.map((each) => each.process.pid).join(', ')}`);
      console.log(`Try:  curl ${url}`);
    });

    cluster.setupPrimary({ exec: __filename, args: [] });
    workers = Array.from({ length: count }, () => cluster.fork());
    // A message that came too late for its worker: 'exit' tells the rest.
    for (const worker of workers) worker.on('error', () => {});
    for (const worker of workers) worker.send('server', server);

    let stopping = false;
    const stop = () => {
      stopping = true;
      server.close();
      cluster.disconnect();
      setTimeout(() => {
        console.error(`Not finished within ${STOP_TIMEOUT / 1000} s: the last connections are cut.`);
        for (const worker of workers) worker.process.kill('SIGKILL');
      }, STOP_TIMEOUT).unref();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);

    // The primary no longer has the server, so it cannot give it to a new worker: when the last one goes, it is over.
    cluster.on('exit', (worker, code, signal) => {
      workers = workers.filter((each) => each !== worker);
      if (stopping) return;
      console.error(`Worker ${worker.process.pid} ended (${signal ?? `code ${code}`}).`);
      if (workers.length === 0) process.exitCode = 1;
    });
  });
}

function startWorker() {
  // A terminal sends Ctrl-C to the workers too: it is the primary that acts on it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  process.on('message', (message, server) => {
    if (message !== 'server') return;
    serve(server);
    // The worker did not open this server itself, so `cluster` does not close it.
    process.once('disconnect', () => server.close());
    process.send('serving');
  });
}
