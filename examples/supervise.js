'use strict';

// A service that stays up: workers are restarted when they die, and replaced without losing a request on a reload.
//
//   node examples/supervise.js
//   curl http://127.0.0.1:3000           each reply is the pid of the worker that served it
//   curl http://127.0.0.1:3000/crash     that worker throws: it is replaced, and answers what it has before it exits
//   kill -HUP <pid of the primary>       a reload: new workers one by one, with what this file says by then
//   kill -USR2 <pid of the primary>      the status, as JSON
//
// PORT=8080 chooses another port, PORT=0 a free one. Ctrl-C or SIGTERM ends it when everything has been answered.
//
// A server that knows nothing of all this runs the same way with the command: npx rcluster server.js

const http = require('node:http');
const { availableParallelism } = require('node:os');
const cluster = require('..'); // in your app: require('rcluster')

const HOST = '127.0.0.1';
const PORT = Number(process.env.PORT || '3000');

if (cluster.isPrimary) startPrimary();
else serve();

function startPrimary() {
  const supervisor = cluster.supervise({
    exec: __filename,
    args: [],
    workers: Math.max(2, availableParallelism()),
    signals: true, // SIGTERM, SIGINT, SIGHUP and SIGUSR2 to this process
    crash: 'drain', // a worker that throws finishes its other requests
    maxMemory: '500M',
  });
  const pids = () => supervisor.status().workers.map(({ pid }) => pid).join(', ');
  let url = '';

  cluster.once('listening', (worker, { address, port }) => (url = `http://${address}:${port}`));
  supervisor.on('ready', () => {
    console.log(`Listening on ${url}`);
    console.log(`Primary ${process.pid}, workers ${pids()}`);
    console.log(`Try:  curl ${url}   curl ${url}/crash   kill -HUP ${process.pid}`);
  });
  supervisor.on('restart', ({ pid, reason, delay }) => console.log(`Worker ${pid} ${reason}, another starts in ${delay} ms.`));
  supervisor.on('reload', ({ workers, time, error }) => {
    if (error) console.log(error.message);
    else console.log(`Replaced ${workers.length} workers in ${time} ms, now ${pids()}.`);
  });
  supervisor.on('stopping', () => console.log('Stopping: requests in progress are answered.'));
  // Only before any worker was ever ready.
  supervisor.on('crash-loop', ({ fatal, error }) => {
    console.error(error.message);
    if (fatal) process.exitCode = 1;
  });
}

function serve() {
  const server = http.createServer((request, response) => {
    if (request.url === '/crash') setImmediate(() => { throw new Error('as you wished'); });
    response.end(`${process.pid}\n`);
  });
  server.listen(PORT, HOST);

  // Runs when this worker leaves, for whatever reason, and its last request has been answered.
  cluster.onShutdown(async () => {
    // await database.end();
  });
}
