'use strict';

// An HTTP service on all cores: each reply is the pid of the worker that served it.
//
//   node examples/http.js          or: npm start
//   curl http://127.0.0.1:3000     ask several times
//
// PORT=8080 chooses another port, PORT=0 a free one. Ctrl-C or SIGTERM to the primary ends it: no new connections,
// those in progress are answered.

const http = require('node:http');
const { availableParallelism } = require('node:os');
const cluster = require('..'); // in your app: require('rcluster')

const HOST = '127.0.0.1';
const PORT = process.env.PORT || '3000';
const STOP_TIMEOUT = 5000; // ms that connections have to end

if (cluster.isPrimary) startPrimary();
else serve();

function startPrimary() {
  if (!/^\d+$/.test(PORT) || Number(PORT) > 65535) {
    console.error(`PORT must be a number from 0 to 65535, not "${PORT}".`);
    process.exitCode = 1;
    return;
  }

  const count = Math.max(2, availableParallelism());
  const workers = new Set(); // all whose process runs; cluster.workers leaves out those that are disconnecting
  const listening = new Set();
  let announced = false;
  let stopping = false;

  cluster.on('listening', (worker, { address, port }) => {
    listening.add(worker);
    if (announced || listening.size < count) return;
    announced = true;
    const pids = [...workers].map((each) => each.process.pid);
    console.log(`Listening on http://${address}:${port}`);
    console.log(`Primary ${process.pid}, workers ${pids.join(', ')}`);
    console.log(`Try:  curl http://${address}:${port}   (each reply is the pid of the worker that served it)`);
    console.log('Ctrl-C ends it.');
  });

  cluster.on('message', (worker, message) => {
    if (message.failed) fail(message.failed);
  });

  cluster.on('exit', (worker, code, signal) => {
    workers.delete(worker);
    if (stopping) return;
    const how = signal ? `was killed by ${signal}` : `ended with code ${code}`;
    // A worker that never got to listen would not fare better the next time.
    if (!listening.delete(worker)) return fail(`worker ${worker.process.pid} ${how} before it listened`);
    const { pid } = forkWorker().process;
    console.log(`Worker ${worker.process.pid} ${how}, worker ${pid} replaces it.`);
  });

  // The primary ends by itself when its last worker has ended.
  const stop = () => {
    if (stopping) return;
    stopping = true;
    console.log('Stopping: connections in progress may finish.');
    cluster.disconnect();
    setTimeout(() => {
      console.error(`Not finished within ${STOP_TIMEOUT / 1000} s: the last connections are cut.`);
      killWorkers();
    }, STOP_TIMEOUT).unref();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);

  cluster.setupPrimary({ exec: __filename, args: [] });
  for (let i = 0; i < count; i++) forkWorker();

  function forkWorker() {
    const worker = cluster.fork();
    worker.on('error', () => {}); // a message that came too late for it: 'exit' tells the rest
    workers.add(worker);
    return worker;
  }

  function fail(reason) {
    if (stopping) return;
    stopping = true;
    console.error(`Cannot serve: ${reason}`);
    process.exitCode = 1;
    killWorkers();
  }

  function killWorkers() {
    for (const worker of workers) worker.process.kill('SIGKILL');
  }
}

function serve() {
  // A terminal sends Ctrl-C to the workers too, and a service manager SIGTERM: it is the primary that acts on them.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  const server = http.createServer((request, response) => {
    // The primary has asked to stop, which closed the server: this reply is the last one on its connection.
    if (!server.listening) response.setHeader('Connection', 'close');
    response.end(`${process.pid}\n`);
  });
  server.on('error', (error) => process.send({ failed: error.message }, () => process.exit(1)));
  server.listen(Number(PORT), HOST);
}
