'use strict';

// As in the README of throng.

const http = require('node:http');
const throng = require('throng');

throng({
  master: () => console.log('master started'),
  worker: (id, disconnect) => {
    console.log(`worker ${id} started ${process.pid}`);
    const server = http.createServer((request, response) => {
      response.end(`${id}`);
      if (request.url === '/crash') setImmediate(() => process.exit(1));
    });
    server.listen(0, '127.0.0.1', () => {
      console.log(`worker ${id} listens on ${server.address().port}`);
    });
    process.once('SIGTERM', () => {
      console.log(`worker ${id} cleans up`);
      disconnect();
    });
  },
  count: 2,
  grace: 3000,
});
