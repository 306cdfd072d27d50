'use strict';

// The service that is reloaded: it knows nothing of clusters, supervisors or signals. Each reply is the pid of the worker, and
// all are of one length, as ab takes any other for a failure.
//   PORT     where it listens
//   DELAY    ms until it answers
//   VERSION  a file that says what is wrong with this version: throws, never, exits (after 1 s), slow (8 s until it listens)
//
// `/hang` never lets go of the event loop.

const fs = require('node:fs');
const http = require('node:http');

const { DELAY = '0', PORT, VERSION } = process.env;
const version = VERSION && fs.existsSync(VERSION) ? fs.readFileSync(VERSION, 'utf8') : 'good';

const reply = `${process.pid}`.padEnd(8);
const server = http.createServer((request, response) => {
  if (request.url === '/hang') for (;;);
  if (DELAY === '0') response.end(reply);
  else setTimeout(() => response.end(reply), Number(DELAY));
});

if (version === 'throws') throw new Error('this version throws at load');
if (version === 'exits') setTimeout(() => process.exit(1), 1000);
if (version === 'never') setInterval(() => {}, 1000);
else if (version === 'slow') setTimeout(() => server.listen(Number(PORT), '127.0.0.1'), 8000);
else server.listen(Number(PORT), '127.0.0.1');
