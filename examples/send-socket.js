'use strict';

// Passing sockets: the primary accepts, and chooses the worker of each connection by a rule of its own. Here the same
// client address always gets the same worker.
//
//   node examples/send-socket.js
//   curl http://127.0.0.1:3000                           each reply is the pid of the worker that served it
//   curl --interface 127.0.0.2 http://127.0.0.1:3000     another client address, another worker
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

/** The rule: a number from the address, and from the number a worker. */
function choose(workers, address) {
  let hash = 0;
  for (const character of address) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return workers[hash % workers.length];
}

function startPrimary() {
  let workers = []; // all whose process runs; cluster.workers leaves out those that are disconnecting

  // pauseOnConnect: the primary reads nothing, so that all that the client sends is there for the worker.
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    const worker = choose(workers, socket.remoteAddress ?? '');
    if (!worker) return socket.destroy();
    worker.send('socket', socket, (error) => {
      if (error) socket.destroy();
    });
  });
  server.on('error', (error) => {
    console.error(`Cannot serve: ${error.message}`);
    process.exitCode = 1;
  });

  server.listen(Number(PORT), HOST, () => {
    const url = `http://${HOST}:${server.address().port}`;
    cluster.setupPrimary({ exec: __filename, args: [] });
    // A message waits in the channel for a worker that is not up yet, so connections can be sent from now on.
    workers = Array.from({ length: Math.max(2, availableParallelism()) }, () => cluster.fork());
    // A message that came too late for its worker: 'exit' tells the rest.
    for (const worker of workers) worker.on('error', () => {});
    console.log(`Listening on ${url}`);
    console.log(`Workers ${workers.map((worker) => worker.process.pid).join(', ')}`);
    console.log(`Try:  curl ${url}   and:  curl --interface 127.0.0.2 ${url}`);

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

    // A worker that has gone is no longer chosen; its clients move to others. Without workers it is over.
    cluster.on('exit', (worker, code, signal) => {
      workers = workers.filter((each) => each !== worker);
      if (stopping) return;
      console.error(`Worker ${worker.process.pid} ended (${signal ?? `code ${code}`}).`);
      if (workers.length > 0) return;
      process.exitCode = 1;
      server.close();
    });
  });
}

function startWorker() {
  // A terminal sends Ctrl-C to the workers too: it is the primary that acts on it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  const web = http.createServer((request, response) => {
    response.setHeader('Connection', 'close');
    response.end(`${process.pid}\n`);
  });
  process.on('message', (message, socket) => {
    // There is no socket where the client has gone in the meantime.
    if (message === 'socket' && socket) web.emit('connection', socket);
  });
}
