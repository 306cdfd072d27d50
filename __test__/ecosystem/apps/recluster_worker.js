'use strict';

const fs = require('node:fs');
const http = require('node:http');

const version = fs.readFileSync(process.env.VERSION_FILE, 'utf8');
http
  .createServer((request, response) => {
    response.end(`${process.pid} ${process.env.WORKER_ID} ${version}`);
    if (request.url === '/crash') setImmediate(() => process.exit(1));
  })
  .listen(0, '127.0.0.1');
